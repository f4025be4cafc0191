"""Everything between the network and the app: who comes in, with what, and what they get to see.

:mod:`app.door.door` asks the others in turn: :mod:`app.door.space` (which addresses there are),
:mod:`app.door.visits` (who it is), :mod:`app.door.pace` (how often), :mod:`app.door.password`,
:mod:`app.door.bodies` (what is brought) and :mod:`app.door.headers` (what browsers may do with an answer).
"""

from app.door.door import Door
from app.door.space import UrlSpace

__all__ = ["Door", "UrlSpace"]
