"""The words that the tables of the table families are made of: themes, columns and their values."""

from __future__ import annotations

import functools
from typing import NamedTuple


class Theme(NamedTuple):
    """What a table can be about. `numbers` are (words, lowest, highest, decimals)."""

    stems: str
    entity: str
    pool: str
    categories: dict[str, str]
    numbers: tuple[tuple[str, int, int, int], ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


_THEMES = """
sales orders shop_sales; product; things
region: North|South|East|West|Central
channel: online|store|phone|partner
payment method: card|cash|invoice|transfer
units 1 400 0, unit price 2 90 2, discount 0 30 1, revenue 100 9000 0, shipping cost 3 40 2
tax 1 60 2

staff employees team payroll; employee; people
department: Sales|Finance|Legal|Research|Support|Design
office: Berlin|Paris|Madrid|Oslo|Dublin
contract: full|part|temporary
salary 2100 9800 0, age 19 66 0, bonus 100 4000 0, years of service 1 38 0, overtime hours 1 60 1
sick days 0 20 0

grades students exam class_list; student; people
class: 7a|7b|8a|8b|9a
subject: history|biology|physics|art|music
school: Hill School|Lake School|Park School|Mill School
math score 20 100 0, reading score 20 100 0, absences 0 30 0, homework points 1 50 0
exam mark 1 20 1, study hours 1 40 1

cities towns places; city; cities
country: Norway|Spain|Kenya|Brazil|Japan|Canada
climate: dry|mild|cold|humid|tropical
population 9000 900000 0, area 10 900 1, elevation 2 2400 0, rent index 20 99 1, parks 1 90 0
museums 1 60 0

weather climate readings; station; cities
season: spring|summer|autumn|winter
sky: clear|cloudy|rain|fog|snow
zone: coast|inland|mountain|valley
temperature -9 38 1, humidity 20 98 0, wind speed 1 90 1, rainfall 1 300 1, pressure 970 1040 0
sunshine hours 0 14 1

inventory stock warehouse parts; item; things
warehouse: A1|B2|C3|D4
supplier: Acme|Globex|Initech|Umbra|Stark
shelf: top|middle|bottom|floor
stock 0 900 0, reorder level 5 120 0, unit cost 1 80 2, weight 1 60 2, damaged 0 25 0
lead time 1 45 0

books library reading_list; title; titles
genre: crime|fantasy|poetry|travel|essay
language: English|French|German|Polish
publisher: Orbit|Anchor|Faber|Penguin|Harper
pages 60 900 0, price 4 45 2, copies sold 50 90000 0, rating 1 5 2, reviews 1 4000 0
loans 1 300 0

films movies cinema; film; titles
studio: Apex|Lumen|Northlight|Redwood
format: digital|reel|disc
award: gold|silver|bronze|jury
budget 1 250 1, box office 1 900 1, running time 70 210 0, critic score 10 99 0
tickets sold 900 99000 0, screens 5 900 0

players league squad season; player; people
team: Lions|Tigers|Bears|Hawks|Sharks|Wolves
position: keeper|defender|midfielder|striker
nationality: Irish|Dutch|Greek|Chilean|Danish
goals 0 40 0, assists 0 30 0, matches 1 45 0, minutes played 20 3600 0, yellow cards 0 12 0
height 150 210 0

animals zoo species; animal; animals
habitat: forest|desert|river|ocean|savanna
diet: plants|meat|insects|fish
continent: Africa|Asia|Europe|America|Australia
body weight 1 4000 1, lifespan 1 90 0, top speed 2 120 0, litter size 1 14 0, body length 1 600 1
enclosures 1 9 0

recipes menu dishes food; dish; dishes
cuisine: Thai|Italian|Mexican|Indian|Greek
course: starter|main|dessert|side
allergen: nuts|milk|egg|gluten
calories 80 1200 0, protein 1 60 1, sugar 0 70 1, cooking time 5 180 0, servings 1 12 0
fat 0 60 1

patients clinic ward_list; patient; people
ward: East Wing|West Wing|Tower|Annex
doctor: Moss|Reid|Khan|Silva|Novak
blood type: A|B|AB|O
heart rate 48 130 0, blood pressure 90 190 0, days in care 1 40 0, body temperature 35 41 1
visits 1 30 0, dose 1 500 0

cars vehicles fleet; model; made
brand: Volta|Cresta|Ibis|Nomad|Falcon
fuel: petrol|diesel|electric|hybrid
body type: sedan|coupe|wagon|van
mileage 900 240000 0, horsepower 50 500 0, engine size 1 6 1, list price 7000 90000 0, seats 2 9 0
fuel use 2 15 1

flights departures airport; flight; codes
airline: Skyway|Aurora|Meridian|Jetline
gate: A2|B7|C4|D9
destination: Rome|Lima|Cairo|Delhi|Tokyo|Boston
delay 0 240 0, passengers 20 420 0, distance 150 11000 0, ticket price 30 1500 2
baggage weight 200 9000 1, crew 3 16 0

houses listings homes; address; streets
neighbourhood: Old Town|Riverside|Hillcrest|Harbour
heating: gas|oil|wood|pump
condition: new|good|fair|poor
bedrooms 1 8 0, floor area 30 400 1, asking price 70000 990000 0, monthly rent 300 4000 0
garden size 0 900 0, bathrooms 1 5 0

energy meters buildings; building; streets
tariff: day|night|flat|green
district: Harbor|Center|Campus|Market
owner: city|private|state
electricity use 90 9000 1, gas use 10 5000 1, water use 5 900 1, solar output 0 900 1
peak load 2 120 1, floors 1 40 0

projects portfolio tasks; project; made
manager: Ada|Boris|Chen|Dina|Emil
status: open|closed|paused|late
priority: low|medium|high|urgent
planned cost 900 90000 0, actual cost 900 90000 0, hours spent 5 2000 1, open issues 0 80 0
progress 1 100 0

traffic web_stats visits; page; pages
source: search|email|ads|social|direct
browser: Firefox|Chrome|Safari|Edge
device: phone|tablet|desktop
views 10 90000 0, clicks 1 9000 0, bounce rate 5 95 1, load time 1 9 2, sign ups 0 500 0
session length 5 900 0

expenses spending budget costs; expense; things
category: travel|food|rent|office|training
paid by: Ana|Ben|Cleo|Dirk
account: main|savings|joint|petty
amount 2 2500 2, net amount 2 2500 2, vat 1 300 2, tip 0 40 2, receipts 1 9 0

plants garden harvest; plant; plants
soil: clay|sand|loam|peat
light: sun|shade|half
bed: front|back|left|right
plant height 5 300 1, yield 1 90 1, seeds 1 500 0, watering days 1 30 0, harvest weight 1 80 2
leaves 3 400 0

experiment samples lab trial; sample; codes
treatment: control|low dose|high dose|placebo
batch: K1|K2|K3|K4
operator: Ines|Jonas|Kira|Lev
concentration 1 99 2, response 1 500 1, absorbance 0 3 3, error margin 0 9 2
cell count 90 99000 0, growth rate 0 9 2

hotels bookings stays; hotel; made
board: breakfast|half board|full board|room only
chain: Solis|Marlin|Alpine|Crown
view: sea|garden|street|pool
room rate 35 600 2, stars 1 5 0, rooms 8 400 0, guest rating 1 10 1, occupancy 10 99 1
nights 1 30 0

parcels shipments deliveries; parcel; codes
carrier: Swift|Pronto|Condor|Pelican
service: express|standard|economy
depot: Lyon|Turin|Ghent|Porto
parcel weight 1 70 2, volume 1 90 1, freight cost 3 250 2, transit days 1 21 0
insured value 10 5000 0, stops 1 12 0

songs playlist music tracks; song; titles
artist: Marlowe|Juno|The Kites|Delta Five
style: jazz|rock|folk|soul|pop
label: Bluebird|Monarch|Sunset|Harbor
plays 10 990000 0, duration 90 600 0, likes 1 90000 0, tempo 60 190 0, downloads 1 50000 0
chart weeks 0 60 0

farms fields crops; farm; made
crop: wheat|maize|barley|oats|beans
county: Kent|Devon|Essex|Norfolk
tillage: plough|strip|ridge
acres 5 900 1, tonnes 1 900 1, cows 0 300 0, milk yield 10 9000 0, workers 1 60 0
subsidy 100 30000 0

tickets support helpdesk; ticket; codes
queue: billing|technical|account|returns
severity: minor|major|critical
agent: Noor|Otto|Pia|Quinn|Rosa
reply time 1 400 0, messages 1 40 0, satisfaction 1 10 1, reopens 0 6 0, handling minutes 2 300 0

courses training workshops; course; titles
teacher: Adler|Brandt|Costa|Dumas
level: basic|advanced|expert
room: R101|R204|R310|Hall
enrolled 3 200 0, capacity 10 250 0, fee 20 900 2, lessons 1 40 0, dropouts 0 30 0
pass rate 30 100 1

runners race marathon; runner; people
club: Harriers|Striders|Comets|Rovers
age group: junior|senior|veteran
shoe brand: Asta|Brio|Corsa|Dyna
finish time 30 300 1, bib number 1 900 0, pace 3 9 2, steps 900 60000 0, training km 5 140 1
"""
# A paragraph a theme: file names; entity; its pool. Then the text columns with their values, and
# the number columns, each with its lowest and highest value and its decimals.


@functools.cache
def themes() -> tuple[Theme, ...]:
    """What tables can be about."""
    return tuple(_theme(text.splitlines()) for text in _THEMES.strip().split("\n\n"))


def _theme(lines: list[str]) -> Theme:
    stems, entity, pool = lines[0].split("; ")
    categories = dict(line.split(": ") for line in lines[1:] if ": " in line)
    columns = ", ".join(line for line in lines[1:] if ": " not in line).split(", ")
    numbers = [column.rsplit(" ", 3) for column in columns]
    return Theme(
        stems,
        entity,
        pool,
        categories,
        tuple((words, int(low), int(high), int(places)) for words, low, high, places in numbers),
    )


PREFIXES = _words(
    "net gross planned actual daily weekly monthly first second final target spare extra local base"
    " old new raw late early main side inner outer upper lower fixed free open short long red blue"
)
NOUNS = _words(
    "load score level index rate cost points depth width length balance profit margin demand supply"
    " votes visitors hours income debt output input speed energy density flow noise signal value"
    " size charge quota share"
)
SYLLABLES = _words(
    "ba be bo da de do fa fe ga go ka ko la le li lo ma me mi mo na ne no pa po ra re ri ro sa se"
    " si so ta te to va ve vi vo za zu tor ven lin mar dol kes pin ran sol tam"
)

PEOPLE = _words(
    "Anna Ben Carla David Elena Felix Grace Hugo Ida Jan Karin Leo Mia Nils Olga Paul Quentin Rosa"
    " Sam Tara Umar Vera Will Xenia Yusuf Zoe Alice Bruno Clara Dario Emma Farid Gina Henry Irene"
    " Jack Kofi Lena Marco Nadia Oscar Petra Rafael Sofia Tom Ursula Victor Wendy Yara Adam Bella"
)
CITIES = _names(
    "Lisbon|Oslo|Quito|Hanoi|Dakar|Perth|Turin|Leeds|Kyoto|Lagos|Miami|Denver|Austin|Geneva|Munich"
    "|Prague|Vienna|Warsaw|Zagreb|Athens|Seville|Bergen|Gdansk|Malmo|Nantes|Porto|Riga|Split|Tampere"
    "|Utrecht|Verona|York|Bristol|Cork|Dresden|Essen|Florence|Granada|Haifa|Izmir|New York"
    "|Cape Town|San Jose|Buenos Aires|Hong Kong"
)
THINGS = _names(
    "lamp|chair|table|pencil|kettle|mirror|basket|carpet|blanket|candle|hammer|screw|drill|ladder"
    "|bucket|rope|bottle|cup|plate|spoon|fork|knife|pan|oven|fridge|radio|camera|laptop|phone"
    "|tablet|mouse|keyboard|printer|cable|battery|charger|notebook|stapler|folder|desk lamp"
    "|garden hose|tea pot|tool box|water pump|sun hat"
)
ANIMALS = _names(
    "lion|tiger|otter|beaver|zebra|giraffe|hippo|rhino|gorilla|lemur|panda|koala|wombat|kangaroo"
    "|penguin|ostrich|eagle|falcon|owl|parrot|cobra|python|gecko|iguana|turtle|dolphin|seal|walrus"
    "|orca|moose|reindeer|lynx|fox|badger|hedgehog|camel|llama|bison|yak|polar bear|red deer"
)
DISHES = _names(
    "lasagne|risotto|paella|ramen|curry|tacos|burrito|falafel|hummus|moussaka|goulash|pierogi|pho"
    "|sushi|tempura|gnocchi|ravioli|pizza|quiche|omelette|waffles|pancakes|porridge|chili|stew"
    "|fish soup|onion soup|green salad|potato salad|apple pie|cheesecake|tiramisu|brownie|sorbet"
    "|fried rice|spring rolls|dumplings|kebab|meat balls|bean bowl|noodle box"
)
PLANTS = _names(
    "tomato|basil|mint|carrot|onion|garlic|leek|pea|bean|squash|pumpkin|lettuce|spinach|kale|radish"
    "|turnip|beet|celery|fennel|thyme|sage|rose|tulip|lily|daisy|aster|dahlia|lavender|fern|ivy"
    "|maple|oak|birch|willow|cherry|apple|pear|plum|fig|grape|melon|sunflower"
)
ADJECTIVES = _words(
    "Silent Golden Broken Hidden Last Lost Quiet Wild Winter Summer Paper Iron Glass Distant"
    " Burning Empty Green Crimson Second Little"
)
TITLE_NOUNS = _words(
    "River Garden Letter Harbor Mountain Clock Window Road Island Forest Bridge Shadow Star Song"
    " Kingdom Mirror Station Train Lantern Storm"
)
STREETS = _words("Oak Mill High Church Park Lake Station Garden Bridge King Queen North Rose Elm")
PAGES = _words(
    "home about contact pricing blog news faq login signup search cart checkout profile settings"
    " help terms privacy careers team press events gallery shop docs download forum status partners"
    " reviews stories videos awards guides tour offers brands gifts wiki maps jobs"
)
GENERIC_STEMS = _words(
    "data table report export input results list records my_data dataset file1 numbers overview"
    " summary sheet1 final test_data details entries log"
)
FILE_ENDINGS = ("", "", "", "", "_2022", "_2023", "_2024", "_data", "_list", "-may", "_q3", "_new")
DATE_COLUMNS = ("date", "day", "order date", "week start", "month", "time", "period")
SHEETS = _words(
    "Sheet1 Sheet2 Data Main Totals Report Input List Table Export Summary Archive Plan Detail"
)
