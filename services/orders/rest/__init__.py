"""The reading half of the Orders Service: the view of orders, who has which part of it, and the HTTP interface."""
