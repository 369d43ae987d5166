with results as (

    select
        'flag_missing' as macro_name,
        cast({{ flag_missing('cast(null as integer)') }} as varchar) as result,
        'true' as worked_result

    union all

    select
        'impute_constant' as macro_name,
        cast({{ impute_constant('cast(null as integer)', 0) }} as varchar) as result,
        '0' as worked_result

    union all

    select
        'fit_imputer' as macro_name,
        string_agg(
            concat_ws(' ', fitted.center, fitted.row_count, fitted.missing_count), ', '
            order by fitted.column_name
        ) as result,
        '2.5 5 1' as worked_result
    from (
        with people (age) as (

            values
            (1),
            (2),
            (3),
            (10),
            (null)

        )

        select * from (
            {{ fit_imputer('people', ['age']) }}
        ) as fitted
    ) as fitted

    union all

    select
        'fit_scaler' as macro_name,
        string_agg(
            concat_ws(
                ' ', fitted.center, fitted.scale, fitted.row_count, fitted.missing_count
            ), ', '
            order by fitted.column_name
        ) as result,
        '2.0 1.0 3 1' as worked_result
    from (
        with people (age) as (

            values
            (1),
            (3),
            (null)

        )

        select * from (
            {{ fit_scaler('people', ['age'], method='standard') }}
        ) as fitted
    ) as fitted

    union all

    select
        'fit_scaler robust' as macro_name,
        string_agg(
            concat_ws(
                ' ', fitted.center, fitted.scale, fitted.row_count, fitted.missing_count
            ), ', '
            order by fitted.column_name
        ) as result,
        '2.0 1.0 3 1' as worked_result
    from (
        with people (age) as (

            values
            (1),
            (3),
            (null)

        )

        select * from (
            {{ fit_scaler('people', ['age'], method='robust') }}
        ) as fitted
    ) as fitted

    union all

    select
        'fit_scaler min_max' as macro_name,
        string_agg(
            concat_ws(
                ' ', fitted.center, fitted.scale, fitted.row_count, fitted.missing_count
            ), ', '
            order by fitted.column_name
        ) as result,
        '1.0 2.0 3 1' as worked_result
    from (
        with people (age) as (

            values
            (1),
            (3),
            (null)

        )

        select * from (
            {{ fit_scaler('people', ['age'], method='min_max') }}
        ) as fitted
    ) as fitted

    union all

    select
        'fit_scaler of a constant' as macro_name,
        string_agg(
            concat_ws(' ', fitted.center, fitted.scale), ', '
            order by fitted.column_name
        ) as result,
        '7.0 1.0' as worked_result
    from (
        with people (age) as (

            values
            (7),
            (7)

        )

        select * from (
            {{ fit_scaler('people', ['age']) }}
        ) as fitted
    ) as fitted

    union all

    select
        'fit_categories' as macro_name,
        string_agg(
            concat_ws(
                ' ',
                fitted.category,
                fitted.category_number,
                fitted.row_count,
                round(fitted.share, 2)
            ), ', '
            order by fitted.category_number
        ) as result,
        'app 1 1 0.33, web 2 2 0.67' as worked_result
    from (
        with orders (channel) as (

            values
            ('web'),
            ('web'),
            ('app'),
            (null)

        )

        select * from (
            {{ fit_categories('orders', ['channel']) }}
        ) as fitted
    ) as fitted

    union all

    select
        'fit_target_encoder' as macro_name,
        string_agg(
            concat_ws(' ', coalesce(fitted.category, 'unknown'), round(fitted.encoding, 2)), ', '
            order by fitted.is_default, fitted.category
        ) as result,
        'a 0.56, b 0.83, unknown 0.67' as worked_result
    from (
        with orders (channel, is_late) as (

            values
            ('a', 1),
            ('a', 0),
            ('b', 1)

        )

        select * from (
            {{ fit_target_encoder('orders', ['channel'], 'is_late', smoothing=1) }}
        ) as fitted
    ) as fitted

    union all

    select
        'encode_target_out_of_fold' as macro_name,
        string_agg(
            concat_ws(' ', fitted.order_id, fitted.channel_target), ', '
            order by fitted.order_id
        ) as result,
        'O1 1.0, O2 0.0' as worked_result
    from (
        with orders (order_id, channel, is_late) as (

            values
            ('O1', 'a', 0),
            ('O2', 'a', 1)

        )

        select * from (
            {{ encode_target_out_of_fold(
                'orders', 'order_id', ['channel'], 'is_late', fold_count=2, smoothing=0
            ) }}
        ) as fitted
    ) as fitted

    union all

    select
        'fit_buckets' as macro_name,
        string_agg(
            concat_ws(' ', fitted.bucket_number, fitted.lower_edge, fitted.upper_edge), ', '
            order by fitted.bucket_number
        ) as result,
        '0 0.0 2.0, 1 2.0 4.0' as worked_result
    from (
        with people (age) as (

            values
            (0),
            (1),
            (2),
            (3),
            (4)

        )

        select * from (
            {{ fit_buckets('people', ['age'], 2) }}
        ) as fitted
    ) as fitted

    union all

    select
        'fit_buckets uniform' as macro_name,
        string_agg(
            concat_ws(' ', fitted.bucket_number, fitted.lower_edge, fitted.upper_edge), ', '
            order by fitted.bucket_number
        ) as result,
        '0 0.0 5.0, 1 5.0 10.0' as worked_result
    from (
        with people (age) as (

            values
            (0),
            (1),
            (10)

        )

        select * from (
            {{ fit_buckets('people', ['age'], 2, method='uniform') }}
        ) as fitted
    ) as fitted

    union all

    select
        'impute_median' as macro_name,
        string_agg(
            coalesce(cast(applied.found as varchar), 'null'), ', '
            order by applied.place
        ) as result,
        '2.5, 7.0' as worked_result
    from (
        with parameters (column_name, method, center) as (

            values
            ('age', 'median', 2.5)

        )

        select
            scored.place,
            {{ impute_median('age', 'parameters') }} as found
        from (
            values
            (1, null),
            (2, 7)
        ) as scored (place, age)
    ) as applied

    union all

    select
        'scale' as macro_name,
        string_agg(
            coalesce(cast(applied.found as varchar), 'null'), ', '
            order by applied.place
        ) as result,
        '2.0, null' as worked_result
    from (
        with parameters (column_name, method, center, scale) as (

            values
            ('age', 'standard', 2, 4)

        )

        select
            scored.place,
            {{ scale('age', 'parameters') }} as found
        from (
            values
            (1, 10),
            (2, null)
        ) as scored (place, age)
    ) as applied

    union all

    select
        'encode_one_hot' as macro_name,
        string_agg(
            coalesce(cast(applied.found as varchar), 'null'), ', '
            order by applied.place
        ) as result,
        '[0, 1], [0, 0]' as worked_result
    from (
        with categories (column_name, category) as (

            values
            ('channel', 'app'),
            ('channel', 'web')

        )

        select
            scored.place,
            {{ encode_one_hot('channel', 'categories') }} as found
        from (
            values
            (1, 'web'),
            (2, 'fax')
        ) as scored (place, channel)
    ) as applied

    union all

    select
        'encode_frequency' as macro_name,
        string_agg(
            coalesce(cast(round(applied.found, 2) as varchar), 'null'), ', '
            order by applied.place
        ) as result,
        '0.33, 0.0, null' as worked_result
    from (
        with categories (column_name, category, share) as (

            values
            ('channel', 'app', 1 / 3.0),
            ('channel', 'web', 2 / 3.0)

        )

        select
            scored.place,
            {{ encode_frequency('channel', 'categories') }} as found
        from (
            values
            (1, 'app'),
            (2, 'fax'),
            (3, null)
        ) as scored (place, channel)
    ) as applied

    union all

    select
        'encode_target' as macro_name,
        string_agg(
            coalesce(cast(applied.found as varchar), 'null'), ', '
            order by applied.place
        ) as result,
        '0.2, 0.5' as worked_result
    from (
        with encodings (column_name, category, is_default, encoding) as (

            values
            ('category', 'a', false, 0.2),
            ('category', null, true, 0.5)

        )

        select
            scored.place,
            {{ encode_target('category', 'encodings') }} as found
        from (
            values
            (1, 'a'),
            (2, 'z')
        ) as scored (place, category)
    ) as applied

    union all

    select
        'bucket' as macro_name,
        string_agg(
            coalesce(cast(applied.found as varchar), 'null'), ', '
            order by applied.place
        ) as result,
        '1, 1' as worked_result
    from (
        with buckets (column_name, bucket_number, lower_edge, upper_edge) as (

            values
            ('age', 0, 0, 2),
            ('age', 1, 2, 4)

        )

        select
            scored.place,
            {{ bucket('age', 'buckets') }} as found
        from (
            values
            (1, 2),
            (2, 9)
        ) as scored (place, age)
    ) as applied

    union all

    select
        'bucket closed right' as macro_name,
        string_agg(
            coalesce(cast(applied.found as varchar), 'null'), ', '
            order by applied.place
        ) as result,
        '0, null' as worked_result
    from (
        with buckets (column_name, bucket_number, lower_edge, upper_edge) as (

            values
            ('age', 0, 0, 2),
            ('age', 1, 2, 4)

        )

        select
            scored.place,
            {{ bucket('age', 'buckets', closed='right', outside='null') }} as found
        from (
            values
            (1, 2),
            (2, 9)
        ) as scored (place, age)
    ) as applied

    union all

    select
        'bucket_by_edges' as macro_name,
        cast({{ bucket_by_edges('2', [0, 2, 4]) }} as varchar) as result,
        '1' as worked_result

    union all

    select
        'bucket_by_edges closed right' as macro_name,
        cast({{ bucket_by_edges('2', [0, 2, 4], closed='right') }} as varchar) as result,
        '0' as worked_result

    union all

    select
        'assign_fold' as macro_name,
        cast({{ assign_fold("'C1'", 5) }} as varchar) as result,
        '3' as worked_result

    union all

    select
        'smooth_mean' as macro_name,
        cast({{ smooth_mean(1, '1.0', 0, '0.5', 0.25, smoothing=1) }} as varchar) as result,
        '0.75' as worked_result

    union all

    select
        'name_category' as macro_name,
        {{ name_category("'web'") }} as result,
        '=web' as worked_result

    union all

    select
        'name_category of null' as macro_name,
        {{ name_category('null') }} as result,
        '-' as worked_result

    union all

    select
        'list_categories' as macro_name,
        string_agg(
            concat_ws(' ', listed._column_name, listed._category, listed._label), ', '
            order by listed._column_name
        ) as result,
        'channel web 1, 1' as worked_result
    from (
        with orders (channel) as (

            values
            ('web')

        )

        select * from (
            {{ list_categories('orders', ['channel']) }}
        ) as listed
    ) as listed

    union all

    select
        'nan_to_null' as macro_name,
        coalesce(cast({{ nan_to_null("'NaN'") }} as varchar), 'null') as result,
        'null' as worked_result

    union all

    select
        'take_quantiles and take_element' as macro_name,
        cast(
            {{ take_element(take_quantiles('given.number', [0.25, 0.5]), 1) }} as varchar
        ) as result,
        '2.0' as worked_result
    from (values (1), (2), (3), (4), (5)) as given (number)

    union all

    select
        'collect_sorted' as macro_name,
        cast({{ collect_sorted('given.letter') }} as varchar) as result,
        '[a, b]' as worked_result
    from (values ('b'), ('a')) as given (letter)

    union all

    select
        'count_elements' as macro_name,
        cast({{ count_elements('[1, 2, 3]', 'element >= 2') }} as varchar) as result,
        '2' as worked_result

    union all

    select
        'change_elements' as macro_name,
        cast({{ change_elements('[1, 2]', 'element + 1') }} as varchar) as result,
        '[2, 3]' as worked_result

    union all

    select
        'convert_hex_to_number' as macro_name,
        cast({{ convert_hex_to_number("'ff'") }} as varchar) as result,
        '255' as worked_result

)

select
    macro_name,
    result,
    worked_result
from results
where result is distinct from worked_result
