from .reading import read as read
from .records import Box as Box
from .records import Dataset as Dataset
from .records import Record as Record
