"""What each way of making a model sparse is: settings, cost and what is said of it, one file each; none imports torch."""
