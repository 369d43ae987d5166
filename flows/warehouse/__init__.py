"""dbt build, gates, publishing and docs. Knows of the lake by its catalog alone."""
