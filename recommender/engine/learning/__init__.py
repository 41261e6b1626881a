"""Learning by gradient descent: the loop and the pieces that torch trainers share."""
