"""The bundle: rendered faces, fakes and small generators in archives, one a style, that come with the package."""
