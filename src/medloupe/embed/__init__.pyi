from .backbone import Backbone as Backbone
from .features import embed as embed
