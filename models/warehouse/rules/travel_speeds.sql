{{ read_rules('travel_speeds', key='travel_class') }}
