"""Messages over Redis lists: a request queue for each service, a reply queue for each thread of a client."""
