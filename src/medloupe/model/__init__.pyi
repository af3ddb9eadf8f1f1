from .bundle import Model as Model
from .head import Head as Head
from .prediction import Prediction as Prediction
