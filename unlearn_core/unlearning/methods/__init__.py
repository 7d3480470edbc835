"""What each unlearning method is: settings, cost and what is said of it, one file a method; none imports torch."""
