-- The parts of made-up people and products; no person here is real. Telephone numbers are from
-- ranges that a country reserves for films, if it has such ranges. Given names of women and men
-- alternate.
create table countries as

select *
from (
    values
    (
        'DE', 46, 'EUR', 100,
        [
            'Anna', 'Jürgen', 'Sabine', 'Björn', 'Käthe', 'Thomas', 'Zoë', 'Günther', 'Lea',
            'Mehmet', 'Ayşe', 'Uwe'
        ],
        [
            'Müller', 'Schäfer', 'Weiß', 'Krüger', 'Hoffmann', 'Yılmaz', 'Böhm', 'Lange', 'Jäger',
            'von der Heide', 'Groß', 'Neumann'
        ],
        ['Lindenstraße', 'Am Mühlbach', 'Goetheweg', 'Hauptstraße', 'Schloßallee', 'Birkenhain'],
        [
            '01067|Dresden', '04109|Leipzig', '06108|Halle (Saale)', '10115|Berlin',
            '20095|Hamburg', '48143|Münster', '50667|Köln', '80331|München', '90402|Nürnberg'
        ],
        ['030 23125 nnn', '069 90009 nnn', '040 66969 nnn', '0221 4710 nnn', '089 99998 nnn']
    ),
    (
        'AT', 10, 'EUR', 100,
        ['Marie', 'Lukas', 'Theresia', 'Jörg', 'Elif', 'Franz'],
        ['Gruber', 'Pöll', 'Huber', 'Wögerbauer', 'Steiner', 'Kovács'],
        ['Kirchengasse', 'Am Grünen Anger', 'Mozartstraße'],
        ['1010|Wien', '4020|Linz', '5020|Salzburg', '6020|Innsbruck', '8010|Graz'],
        cast([] as varchar[])
    ),
    (
        'CH', 8, 'CHF', 95,
        ['Chantal', 'Urs', 'Noémie', 'Reto', 'Luana', 'Beat'],
        ['Zürcher', 'Favre', 'Bianchi', 'Lüthi', 'Meier', 'Rossier'],
        ['Seestrasse', 'Rue du Lac', 'Via Stazione', 'Bahnhofweg'],
        ['8001|Zürich', '3011|Bern', '1201|Genève', '6900|Lugano', '4001|Basel'],
        cast([] as varchar[])
    ),
    (
        'FR', 12, 'EUR', 100,
        ['Élodie', 'François', 'Amélie', 'Loïc', 'Hélène', 'Rémi', 'Inès', 'Jérôme'],
        ['Lefèvre', 'Garçon', 'D''Aubigny', 'Dubois', 'Béranger', 'Noël', 'Moreau', 'Haddad'],
        ['rue des Lilas', 'allée du Château', 'rue de l''Église', 'avenue Foch'],
        [
            '06000|Nice', '01000|Bourg-en-Bresse', '13001|Marseille', '33000|Bordeaux',
            '69001|Lyon', '75011|Paris'
        ],
        ['01 99 00 00 nn', '02 61 91 00 nn', '06 39 98 00 nn']
    ),
    (
        'GB', 12, 'GBP', 85,
        ['Siân', 'Oliver', 'Amelia', 'Hamish', 'Priya', 'George', 'Niamh', '伟'],
        ['Smith', 'O''Connor', 'Fitz-Gerald', 'Patel', 'MacLeod', '王', 'Jones', 'Brontë'],
        ['Church Lane', 'Mill Road', 'Station Approach', 'The Green'],
        [
            'EH1 1YZ|Edinburgh', 'M1 1AE|Manchester', 'CF10 1EP|Cardiff', 'LS1 4DY|Leeds',
            'N1 9GU|London'
        ],
        ['020 7946 0nnn', '0117 496 0nnn', '07700 900nnn']
    ),
    (
        'SE', 6, 'EUR', 100,
        ['Åsa', 'Göran', 'Linnéa', 'Björn', 'Saga', 'Örjan'],
        ['Åkesson', 'Lindström', 'Sjöberg', 'Öberg', 'Nilsson'],
        ['Storgatan', 'Skärgårdsvägen', 'Björkallén'],
        ['111 22|Stockholm', '411 05|Göteborg', '211 20|Malmö'],
        ['031 390 06 nn', '08 465 004 nn', '040 628 04 nn']
    ),
    (
        'PL', 4, 'EUR', 100,
        ['Małgorzata', 'Łukasz', 'Żaneta', 'Paweł'],
        ['Wójcik', 'Dąbrowska', 'Śliwa', 'Nowak', 'Żuraw'],
        ['ul. Lipowa', 'ul. Świętojańska', 'al. Dębowa'],
        ['00-001|Warszawa', '30-001|Kraków', '80-001|Gdańsk'],
        cast([] as varchar[])
    ),
    (
        'JP', 2, 'EUR', 100,
        ['花子', '太郎', 'さくら', '健'],
        ['佐藤', '鈴木', '高橋', '田中', '渡辺'],
        ['桜通り', '緑町', '中央'],
        ['060-0001|札幌市', '100-0001|東京', '530-0001|大阪市'],
        cast([] as varchar[])
    )
) as made_up (
    country, share_pct, currency, rate_pct,
    given_names, family_names, streets, places, phones
);

-- Repeat each country once per per cent of its share: a uniform draw is then a weighted one.
set variable countries_by_share = ( -- noqa: PRS
    select flatten(list(list_transform(range(share_pct), lambda _: country) order by country))
    from countries
);

-- Hours of the day, and properties of orders. A value that the list repeats is drawn more often.
set variable hours_by_demand = [
    0, 1, 6, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10, 10, 11, 11, 12, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16,
    17, 17, 18, 18, 18, 19, 19, 19, 19, 20, 20, 20, 20, 20, 21, 21, 21, 21, 22, 22, 22, 23, 23
];
set variable channels_by_share = [
    'web', 'web', 'web', 'web', 'web', 'web', 'web', 'web', 'web', 'web', 'web', 'web', 'app', 'app',
    'app', 'app', 'app', 'phone', 'marketplace', 'marketplace', 'store', 'web', 'app', 'other'
];
set variable line_counts_by_share = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 6];
set variable quantities_by_share = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5, 10];

set variable brands = [
    'Nordvita', 'Linde & Sohn', 'Apotheon', 'Bergquell', 'Sanovia', 'Drei Kräuter', 'Mediveil',
    'Pure & Plain', 'Kamilla', 'Vitalis Nova', 'Dr. Quint', 'Eiswald', 'Generika Eins'
];

create table product_kinds as

select *
from (
    values
    (0, 'pain', 'Ibuprofen 400 mg', ['20 tablets', '50 tablets'], 299, 999, 0),
    (1, 'pain', 'Paracetamol 500 mg', ['10 tablets', '20 tablets'], 149, 499, 0),
    (2, 'vitamins', 'Vitamin D3 1000 IU', ['60 capsules', '120 capsules', '30 ml drops'], 599, 2499, 0),
    (3, 'skin care', 'Panthenol cream', ['30 g', '100 g'], 399, 1399, 0),
    (4, 'cold and flu', 'Nasal spray, isotonic', ['15 ml', '20 ml'], 249, 899, 0),
    (5, 'allergy', 'Cetirizine 10 mg', ['20 tablets', '50 tablets', '100 tablets'], 299, 1999, 0),
    (6, 'heart', 'Ramipril 5 mg', ['50 tablets', '100 tablets'], 1199, 1999, 1),
    (7, 'baby', 'Nappy rash ointment', ['50 g', '100 g'], 349, 1099, 0),
    (8, 'digestion', 'Macrogol powder', ['10 sachets', '50 sachets'], 699, 2999, 0),
    (9, 'dental', 'Toothpaste, sensitive', ['75 ml', '2 × 75 ml'], 299, 899, 0),
    (10, 'diabetes', 'Metformin 1000 mg', ['60 tablets', '180 tablets'], 1299, 2599, 1),
    (11, 'first aid', 'Plasters, water-resistant', ['20 strips', '40 strips'], 199, 799, 0),
    (12, 'pain', 'Heat patch', ['2 patches', '6 patches'], 499, 1599, 0),
    (13, 'cold and flu', 'Cough syrup with thyme', ['100 ml', '200 ml'], 499, 1499, 0),
    (14, 'vitamins', 'Magnesium 300 mg', ['30 sachets', '60 capsules'], 499, 1999, 0),
    (15, 'skin care', 'Sun lotion SPF 50+', ['50 ml', '200 ml'], 899, 2999, 0),
    (16, 'thyroid', 'Levothyroxine 75 µg', ['50 tablets', '100 tablets'], 999, 1699, 1),
    (17, 'allergy', 'Eye drops, azelastine', ['6 ml', '10 ml'], 599, 1499, 0),
    (18, 'digestion', 'Simeticone 80 mg', ['30 chewables', '60 chewables'], 449, 1299, 0),
    (19, 'diabetes', 'Blood glucose strips', ['50 strips', '100 strips'], 1999, 4499, 0),
    (20, 'baby', 'Vitamin K drops', ['10 ml', '25 ml'], 499, 999, 0),
    (21, 'heart', 'Bisoprolol 2.5 mg', ['50 tablets', '100 tablets'], 1099, 1799, 1),
    (22, 'cold and flu', 'Throat lozenges, sage', ['20 lozenges', '40 lozenges'], 249, 699, 0),
    (23, 'first aid', 'Wound spray', ['50 ml', '100 ml'], 399, 1199, 0),
    (24, 'vitamins', 'Iron with vitamin C', ['30 tablets', '90 tablets'], 699, 2199, 0),
    (25, 'skin care', 'Urea lotion 10 %', ['200 ml', '400 ml'], 799, 2299, 0),
    (26, 'infection', 'Amoxicillin 750 mg', ['10 tablets', '20 tablets'], 1299, 1999, 1),
    (27, 'dental', 'Interdental brushes', ['8 pieces', '25 pieces'], 349, 1199, 0),
    (28, 'sleep', 'Valerian and hops', ['30 tablets', '60 tablets'], 499, 1499, 0),
    (29, 'cold chain', 'Insulin glargine 100 U/ml', ['5 pens', '10 pens'], 5999, 11999, 1),
    (30, 'pain', 'Diclofenac gel', ['60 g', '150 g'], 599, 1799, 0),
    (31, 'pets', 'Tick collar', ['small', 'large'], 1499, 3499, 0),
    (32, 'first aid', 'Thermometer', ['1 piece', '1 piece, flexible'], 499, 2999, 0)
) as made_up (
    kind_number, category, title, packs, lowest_cents, highest_cents, is_prescription_only
);

-- The demand for a category in each month of the year, in permille of its best month.
create table seasons as

select *
from (
    values
    ('cold and flu', [1000, 1000, 850, 600, 450, 350, 300, 350, 500, 700, 850, 1000]),
    ('allergy', [300, 400, 700, 1000, 1000, 1000, 800, 600, 450, 350, 300, 300])
) as made_up (category, month_permille);
