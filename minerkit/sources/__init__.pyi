from .dataset import open_dataset as open_dataset
from .dataset import readable_dataset as readable_dataset
from .reader import fingerprint as fingerprint
from .reader import read as read
