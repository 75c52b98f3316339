"""What happens. The story; knows the domain and the ports only."""
