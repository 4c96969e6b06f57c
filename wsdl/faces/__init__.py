"""Faces that need no download: drawn ones (`drawn_faces`) and rendered ones (`batch`, extra wsdl[render])."""
