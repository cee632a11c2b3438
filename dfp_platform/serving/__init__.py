"""What answers questions with published models. Importing this room is cheap."""
