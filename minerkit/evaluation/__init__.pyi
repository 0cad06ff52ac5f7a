from .comparison import compare_systems as compare_systems
from .encoder_ranking import rank_documents as rank_documents
from .encoder_ranking import ranking_metrics as ranking_metrics
from .recipe_evaluators import dev_evaluator as dev_evaluator
