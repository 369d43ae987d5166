{{ read_rules('sentiment_words', key='term', same=['term']) }}
