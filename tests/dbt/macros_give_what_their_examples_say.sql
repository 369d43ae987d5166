{#
    Runs the examples of every macro (config.meta.examples in its YAML). Jinja cannot read the meta
    of macros, so this test reads the files.

    call    the macro call, without its double braces
    given   relations for the call, as in a `with` clause; optional
    query   the query around the call, with {} in its place; by default `select {}` from the first
            relation in `given`
    gives   a value, or a list of rows in any order; blanks separate the values of a row
    case    a title for readers
#}
{%- set files = [] -%}
{%- if execute -%}
    {%- set listed -%}
        select content from read_text('macros/**/*__macros.yml') order by filename
    {%- endset -%}
    {%- set files = run_query(listed).columns[0].values() -%}
{%- endif -%}

with results as (

    {% for file in files -%}
    {%- for macro in fromyaml(file).macros -%}
    {%- for example in macro.get('config', {}).get('meta', {}).get('examples', []) -%}
    {%- set gives = example.gives if example.gives is iterable and example.gives is not string else [example.gives] -%}
    {%- set rows = [] -%}
    {%- for row in gives -%}
        {%- do rows.append('null' if row is none else row | string | lower if row is boolean else row | string) -%}
    {%- endfor -%}
    {%- set source = ' from ' ~ example.given.split(' ')[0] if example.given else '' -%}
    {%- set query = example.query or 'select {}' ~ source -%}
    select
        '{{ macro.name }}' as macro_name,
        '{{ example.call | replace("'", "''") }}' as call,
        '{{ rows | sort(case_sensitive=true) | join(', ') | replace("'", "''") }}' as expected,
        (
            {{ 'with ' ~ example.given if example.given }}
            select coalesce(string_agg(row_text, ', ' order by row_text), '')
            from (
                select concat_ws(' ', *columns(*)) as row_text
                from (
                    select coalesce(cast(columns(*) as varchar), 'null')
                    from ({{ query | replace('{}', render('{{ ' ~ example.call ~ ' }}')) }})
                )
            )
        ) as found

    union all

    {% endfor -%}
    {%- endfor -%}
    {%- endfor -%}
    select
        null as macro_name,
        null as call,
        null as expected,
        null as found

)

select
    macro_name,
    call,
    expected,
    found
from results
where expected is distinct from found
