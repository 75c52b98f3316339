"""Bodies of requests and answers: the contract with clients, never a domain value itself."""
