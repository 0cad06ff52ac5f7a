from .cache import EmbeddingCache as EmbeddingCache
from .embed import embed_texts as embed_texts
from .encoder import Encoder as Encoder
from .encoder import Kind as Kind
from .encoder import load_encoder as load_encoder
from .encoders.sentence_transformer import SentenceTransformerEncoder as SentenceTransformerEncoder
from .encoders.static import trained_folder as trained_folder
from .vectors import Vectors as Vectors
