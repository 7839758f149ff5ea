"""Errors that a user can act on: the message names the cause and the cure."""


class Proxy3DError(Exception):
    """Base of all errors that this package raises on purpose."""


class BadInput(Proxy3DError, ValueError):
    """An image, calibration, pose, question or setting that cannot be used as it is."""


class SequenceError(Proxy3DError):
    """A recorded sequence is missing, incomplete or of an unknown format."""


class MapError(Proxy3DError):
    """A saved map is missing, damaged, of another version, or outside the map folder."""


class MissingExtra(Proxy3DError, ImportError):
    """A feature needs an optional package; the message says what to install."""


class ModelError(Proxy3DError):
    """A model's files are missing, incomplete, unsafe or of an unknown kind, or this machine cannot run it."""


class ServiceError(Proxy3DError):
    """A service of a running node cannot be reached, does not answer in time, or refuses; the message says why."""
