"""The extensions, made once here and bound to each application in `create_app`."""

from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect

from flask_queues import Queues

queues = Queues()
csrf = CSRFProtect()
login_manager = LoginManager()
#: of the guest book in features/committing.py; everything else is in database.py
db = SQLAlchemy()
