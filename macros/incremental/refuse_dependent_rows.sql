{#
    A kept row is built again if its own spine or features change, so no row of the last step may depend on other rows.
    Comments and literals say nothing; what the training set itself does is left out by the caller.
#}
{% macro refuse_dependent_rows(step) -%}
    {%- set sql = modules.re.sub('(?s)--[^\n]*|/\\*.*?\\*/|\'(?:[^\']|\'\')*\'', ' ', step) -%}
    {%- set forms = {
        'a window function': '\\)\\s*over\\b|\\bwindow\\s+\\w+\\s+as\\b',
        'group by': '\\bgroup\\s+by\\b',
        'having': '\\bhaving\\b',
        'qualify': '\\bqualify\\b',
        'distinct': '\\bdistinct\\b(?!\\s+from\\b)',
        'limit': '\\blimit\\b|\\bfetch\\s+(first|next)\\b',
        'offset': '\\boffset\\b',
        'a sample': '\\b(using\\s+sample|tablesample)\\b',
        'pivot': '\\bpivot(_wider)?\\b',
        'union without all': '\\bunion\\b(?!\\s+all\\b)',
        'intersect': '\\bintersect\\b',
        'except': '\\bexcept\\b',
        'a positional join': '\\bpositional\\s+join\\b',
    } -%}
    {%- set found = [] -%}
    {%- for name, pattern in forms.items() -%}
        {%- if modules.re.search('(?is)' ~ pattern, sql) -%}
            {%- do found.append(name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for name in list_aggregate_functions(modules.re.findall('(?<![\\w.])(\\w+) *\\(', sql | lower) | unique | list) -%}
        {%- do found.append('the aggregate ' ~ name) -%}
    {%- endfor -%}
    {%- do found.extend(list_loose_reads(sql)) -%}
    {%- if found -%}
        {%- do exceptions.raise_compiler_error(
            model.original_file_path ~ ': the last step of ' ~ model.name ~ ' has ' ~ found | join(', ') ~ '. There '
            ~ 'a row depends on other rows, so rows that are kept could be wrong. Nothing was built. Fix: do it before '
            ~ "training_set(…), where the spine is compared as a whole, or take materialized='incremental' out."
        ) -%}
    {%- endif -%}
    {{ return('') }}
{%- endmacro %}

{#
    Reads of the set's rows beside themselves. A join by all columns of the key finds the row itself; any other join, or
    a subquery, may find other rows.
#}
{% macro list_loose_reads(sql) -%}
    {%- set derived, found = ['training_rows', model.name], [] -%}
    {%- set parts = modules.re.split('(?i)\\b(\\w+)\\s+as\\s+(?:(?:not\\s+)?materialized\\s+)?\\(', sql) -%}
    {%- for place in range(1, parts | length - 1, 2) -%}
        {%- if modules.re.search('(?i)\\b(?:from|join)\\s+\\(?\\s*(?:' ~ derived | join('|') ~ ')\\b|^\\s*training_rows\\b',
            parts[place + 1]) -%}
            {%- do derived.append(parts[place]) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set names = '(' ~ derived | join('|') ~ ')\\b(?!\\s*\\.)' -%}
    {%- for name, condition in modules.re.findall(
        '(?is)\\bjoin\\s+' ~ names ~ '(.*?)(?=\\bjoin\\b|\\bwhere\\b|\\bselect\\b|\\bunion\\b|$)', sql
    ) -%}
        {%- for column in model.config.meta.key if not modules.re.search('(?i)\\b' ~ column ~ '\\b', condition) -%}
            {%- do found.append('a join of ' ~ name ~ ' without the column ' ~ column ~ ' of the key') -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for name in modules.re.findall(
        '(?is)(?:\\bfrom\\s+[\\w\\s]+,\\s*|(?:\\b(?:in|exists|any|all|some|join|lateral|select|when|then|else|and|or|not)|[=<>+*/,-])\\s*'
        ~ '\\(\\s*(?:select\\b[^()]*?\\b)?from\\s+)' ~ names, sql
    ) -%}
        {%- do found.append('a second read of ' ~ name) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
