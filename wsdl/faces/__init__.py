"""Faces that need no download: `made_up` draws them, `batch` renders them (extra wsdl[render])."""
