from .comparison import compare as compare
from .encoder_ranking import hit_rates as hit_rates
from .encoder_ranking import rankings as rankings
from .recipe_evaluators import dev_evaluator as dev_evaluator
