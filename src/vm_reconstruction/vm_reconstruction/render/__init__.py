"""Pictures of results: the overlay on the video and the plots of the report."""
