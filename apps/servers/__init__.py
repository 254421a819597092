"""What carries requests to the service: strict servers, and for each framework middleware and typed views."""
