from .embeddings import Vectors as Vectors
from .mining import SplitQueries as SplitQueries
from .mining import filter_false_negatives as filter_false_negatives
from .mining import format_examples as format_examples
from .mining import retrieve as retrieve
from .mining import sample_negatives as sample_negatives
from .pipeline import mine as mine
from .pipeline import run as run
from .recipe import Format as Format
from .recipe import Mine as Mine
from .recipe import Recipe as Recipe
from .recipe import load_recipe as load_recipe
from .reports import dataset_stats as dataset_stats
from .search import open_index as open_index
from .storage import load as load

__version__: str
