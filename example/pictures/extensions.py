"""The extensions, made once here and bound to each application in `create_app`."""

from flask_login import LoginManager
from flask_wtf.csrf import CSRFProtect

from flask_queues import Queues

queues = Queues()
csrf = CSRFProtect()
login_manager = LoginManager()
