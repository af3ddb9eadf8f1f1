from .find import find_model as find_model
from .predictors import predictor as predictor
