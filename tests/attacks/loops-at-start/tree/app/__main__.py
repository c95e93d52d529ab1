"""Never gets as far as to listen."""

while True:
    pass
