"""What the server is made of inside: nothing here is for services to import, but what the first PySOA named."""
