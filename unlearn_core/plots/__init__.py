"""Charts: from plain data to chart objects. The only place that knows a plotting library."""
