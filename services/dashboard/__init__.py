"""The web pages: what runs, events and functions do, and how people steer them. Reads history, acts through the API."""
