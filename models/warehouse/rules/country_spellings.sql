{{ read_rules('country_spellings', key='spelling', same=['spelling']) }}
