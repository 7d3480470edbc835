"""All that speaks Flower: messages, client and server apps, and the two engines that carry them."""
