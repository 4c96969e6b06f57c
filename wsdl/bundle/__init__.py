"""The bundle: rendered faces, fakes and small generators in one archive that comes with the package."""
