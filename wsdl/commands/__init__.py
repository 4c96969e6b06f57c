"""Groups of commands that `python -m wsdl` gathers."""
