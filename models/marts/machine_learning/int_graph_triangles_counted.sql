with steps as ( -- noqa: ST03

    select * from {{ ref('int_graph_steps_numbered') }}

),

int_graph_triangles_counted as (

    {{ count_triangles('steps') }} -- noqa: PRS

)

select * from int_graph_triangles_counted
