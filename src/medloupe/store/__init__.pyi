from .models import Store as Store
