"""Ordinary English words by class, names, and made-up words: what tasks are filled with."""

from __future__ import annotations

import random


def split(text: str) -> tuple[str, ...]:
    """The words of a text, for tables that are easier to read as running text."""
    return tuple(text.split())


NOUNS = split(
    """
    ability accident account acid acorn actor address adult advice airport alarm album alley
    almond amber anchor angel angle ankle answer ant apple apricot apron arch archive area arm
    army arrow art article ash atlas attic audience aunt author autumn avenue axe baby back bacon
    badge badger bag baker balance balcony ball ballad balloon bamboo banana band bank banner
    barber bargain barn barrel base basket bat bath battery beach bead beak bean bear beard beaver
    bed bee beef beetle beggar bell belt bench berry bicycle bill bin bird biscuit bishop blade
    blanket block blood blossom board boat body bolt bone book boot border bottle bottom boulder
    bow bowl box boy bracelet brain brake branch brass bread breakfast breath breeze brick bride
    bridge broom brother brush bubble bucket budget buffalo bugle bulb bull bullet bus bush
    business butcher butter butterfly button cabbage cabin cable cactus cage cake calendar calf
    camel camera camp campus canal candle candy cane cannon canoe canvas canyon cap cape captain
    car caravan carbon card cargo carpet carriage carrot cart cartoon case cash castle cat
    catalogue cattle cave ceiling cellar century cereal chain chair chalk chamber champion channel
    chapter charcoal chart cheek cheese chef cherry chess chest chestnut chicken child chimney
    chin chocolate choice choir church cider cinema cinnamon circle circus citizen city class claw
    clay clerk cliff climate clinic cloak clock cloth cloud clover clown club coach coal coast
    coat cobra cocoa coconut code coffee coffin coin collar college colony colour column comb
    comet comic committee community company compass computer concert cone contest contract cook
    cookie copper coral cord cork corn corner cottage cotton couch council counter country couple
    courage cousin cover cow cowboy crab cradle crane crayon cream creature creek crew cricket
    crisis crocodile crop crow crowd crown crumb crystal cube cucumber culture cup cupboard
    cupcake current curtain curve cushion custom customer cycle daffodil dairy daisy dance danger
    daughter dawn day deal debate debt decade deck deer degree delivery demand dentist desert desk
    dessert detail detective device dew diagram dialogue diamond diary dice diet dinner dinosaur
    direction dirt disease dish disk distance district ditch diver doctor dog doll dollar dolphin
    domino donkey door dove dozen dragon drama drawer dream dress drink driver drop drum duck
    dungeon dust duty eagle ear earth earthquake east echo edge editor education effect egg elbow
    election elephant elevator elf embassy emerald emotion emperor empire employee end enemy
    energy engine engineer entrance envelope error essay evening event evidence example exercise
    exit expert eye fabric face fact factory failure fairy falcon family fan farm farmer fashion
    father feast feather fence fern ferry festival fever fiction fiddle field fig film finger fire
    fish flag flame flamingo flash flavour fleet flight flock flood floor flour flower flute fly
    foam fog fold folder food foot forest fork formula fort fortune fountain fox frame freedom
    friend frog frost fruit fuel funnel fur furnace furniture future galaxy gallery game garage
    garden garlic garment gas gate gazelle gear gem general genius ghost giant gift ginger giraffe
    girl glacier glass globe glove glue goal goat gold goose gorilla gossip government grain
    grammar granite grape grass gravel gravity grave grocery ground group guard guest guide guitar
    gulf gum habit hail hair hall ham hammer hammock hamster hand handle harbour hare harp harvest
    hat hawk hay hazel head health heart heat hedge hedgehog heel helmet herb herd hero heron
    highway hill hint history hobby hole holiday home honey hood hook hope horizon horn horse
    hospital hotel hour house human humour hunger hunter hurricane husband hut ice iceberg icicle
    idea igloo image income infant ink inn insect iron island ivory ivy jacket jaguar jail jam jar
    jasmine jaw jazz jeans jelly jewel job joke journal journey joy judge jug juice jungle jury
    kangaroo keeper kennel ketchup kettle key keyboard kid kidney king kingdom kiosk kitchen kite
    kitten knee knife knight knot koala label labour lace ladder lady lake lamb lamp land language
    lantern laptop laundry lava law lawn lawyer leader leaf leather lecture legend lemon length
    leopard lesson letter lettuce level library lid life lift light lightning lily lime limit line
    lion lip liquid list lizard llama load loaf lobster lock lodge log loop lord luck luggage
    lumber lunch lung machine magazine magic magnet mail mammal manager mango manner map maple
    marble march margin marker market marriage mask mast master match material maze meadow meal
    meaning measure meat medal medicine melody melon member memory menu merchant message metal
    meteor method midnight milk mill mineral minister mint minute mirror mist mistake mitten model
    moment monarch money monkey monster month monument mood moon morning mosquito moss moth mother
    motor mountain mouse mouth movie mud muffin mule muscle museum mushroom music mustard mystery
    myth nail name napkin nation nature neck necklace needle neighbour nephew nerve nest net
    network news newspaper nickel niece night noise noodle noon north nose note notebook novel
    number nurse nut oak oar oasis object ocean octopus offer office oil olive onion opera opinion
    orange orbit orchard orchestra orchid order organ ostrich otter oven owl owner ox oyster
    package page paint palace palm pan pancake panda panel panic pants paper parade parcel parent
    park parrot part party passage passenger passport pasta path patient pattern pause peach
    peacock peak peanut pear pearl pebble pelican pen pencil penguin penny people pepper period
    person petal phone photo piano picture pie piece pig pigeon pile pillow pilot pin pine
    pineapple pioneer pipe pirate pistol pizza place plane planet plant plate platform player
    plaza plough plum pocket poem poet poetry point pole police pond pony pool poppy port position
    post pot potato powder power prairie prayer present president price priest prince princess
    prison prize problem process product professor profit project promise proof protein public
    pudding puddle pulse pump pumpkin pupil puppet puppy purple purse puzzle pyramid quality
    quantity quarry quarter queen question quilt rabbit raccoon race radar radio radish raft rail
    railway rain rainbow raisin ranch range rat ratio raven razor reader reason recipe record
    region relative remedy report reptile rescue resource restaurant result reward rhythm ribbon
    rice rider rifle ring river road robin robot rock rocket rod roof room root rope rose route
    rubber ruby rug rule ruler sack saddle safety sail sailor salad salmon salt sand sandal
    sandwich satellite sauce sausage scale scarf scene school science scissors scooter scorpion
    screen screw sculpture sea seal season seat second secret seed sentence servant shade shadow
    shampoo shape shark sheep shelf shell shelter shepherd ship shirt shoe shop shore shoulder
    shovel shower shrimp sibling side signal silence silk silver singer sink sister size skate
    skeleton ski skill skin skirt skull sky sled sleeve slice slipper slope smell smile smoke
    snack snail snake snow soap society sock sofa soil soldier song sound soup source south space
    spade sparrow speaker spear speech speed spice spider spinach spirit sponge spoon sport spring
    squad square squash squirrel stable stadium staff stage stair stamp star station statue steak
    steam steel stem step stick stomach stone stool store storm story stove stranger straw
    strawberry stream street string student studio study subject sugar suitcase summer sun sunset
    surface surgeon surprise swamp swan sweater sword symbol syrup system table tablet tail tailor
    talent tank tape target taste tax taxi tea teacher team tear telephone telescope temper temple
    tennis tent test text theatre theory thief thing thorn thought thread throat throne thumb
    thunder ticket tide tiger tile timber time tin tissue title toad toast tobacco toe toilet
    tomato tongue tool tooth top torch tornado tortoise tower town toy track tractor trade traffic
    trail train transport trap travel treasure treaty tree triangle tribe trick trip trombone
    trophy trouble trousers truck trumpet trunk truth tube tulip tuna tunnel turkey turnip turtle
    twig twin tyre umbrella uncle unicorn uniform union universe valley value van vase vegetable
    vehicle veil velvet vessel victim victory video view village vine vinegar violet violin virus
    visitor vitamin voice volcano vote voyage wagon waist waiter wall wallet walnut walrus war
    wardrobe warrior wasp watch water wave wax weather web wedding week weight whale wheat wheel
    whisper whistle wife willow wind window wine wing winter wire wizard wolf woman wombat wood
    wool word work worker world worm wound wreck wrist writer yacht yard year yeast yoghurt youth
    zebra zero zone
    """
)

ADJECTIVES = split(
    """
    able absent active ancient angry annual anxious awake aware bald bare basic beautiful big
    bitter blank blind blue bold brave brief bright broad broken brown busy calm careful cheap
    cheerful chief chilly civil clean clear clever clumsy cold common complete cool correct cosy
    crazy crisp cruel curious curly damp dangerous dark dead dear deep delicate delicious
    different difficult dim dirty distant double dry dull eager early easy elegant empty enormous
    equal exact excellent famous fancy fast fat fierce final fine firm flat fluffy foolish foreign
    formal frail free fresh friendly full funny generous gentle giant glad golden good grand
    grateful great green grey happy hard harsh heavy helpful hidden high hollow honest hot huge
    humble hungry icy idle important innocent jolly juicy just keen kind large late lazy lean
    little lively local lonely long loose loud lovely low loyal lucky mad main major mellow mild
    minor modern modest narrow nasty neat nervous new nice noble noisy normal odd old open
    ordinary pale patient perfect plain pleasant polite poor popular precious pretty private
    proper proud pure quick quiet rapid rare raw ready real red regular rich ripe rough round
    royal rude rusty sad safe salty scared secret serious severe shallow sharp shiny short shy
    sick silent silly simple single sleepy slim slow small smart smooth soft solid sour special
    spicy steady steep sticky stiff still strange strict strong stupid sudden sunny sweet swift
    tall tame tasty tender terrible thick thin thirsty tidy tight tiny tired tough true ugly
    useful usual vacant vague vast violent vivid warm weak wealthy weird wet white whole wide wild
    wise wonderful wooden worried wrong yellow young
    """
)

VERBS = split(
    """
    accepts admires answers asks avoids bakes beats begins believes bites blames blows boils
    borrows breaks brings builds burns buries buys calls carries catches chases checks chews
    chooses cleans climbs closes collects combs cooks copies counts covers crosses cuts decorates
    delivers destroys digs discovers draws dreams drinks drives drops eats enjoys enters escapes
    examines explores fears feeds feels fights fills finds fixes flies folds follows forgets
    frightens gathers gives grabs greets grows guards guesses guides hates hears helps hides hits
    holds hugs hunts ignores invents invites joins judges jumps keeps kicks kisses knows lands
    laughs leads learns leaves lends licks lifts likes loads locks loses loves makes measures
    meets mends misses moves names needs notices offers opens orders owns packs paints passes pays
    picks plants plays polishes pours praises prepares presses prints protects pulls punishes
    pushes raises reads receives remembers repairs rides rings rings robs rolls rubs ruins rules
    runs saves searches sees sells sends serves sews shakes shares sharpens shows sings sketches
    skips sleeps smells smiles solves speaks spills stands starts steals stirs stops studies swims
    takes tastes teaches tells thanks throws ties touches trains trusts turns uses visits waits
    wakes walks wants warms warns washes watches waters wears weighs wins wipes wishes wonders
    wraps writes yells
    """
)

ADVERBS = split(
    """
    again almost already always badly barely bravely calmly carefully clearly closely daily deeply
    eagerly early easily exactly fairly finally firmly forever gently gladly happily hardly here
    kindly lately lazily loudly mostly nearly neatly never nicely now often once politely poorly
    proudly quickly quietly rarely recently sadly safely seldom silently slowly softly sometimes
    soon suddenly surely sweetly there today together tomorrow twice usually warmly weekly well
    wisely yesterday
    """
)

OTHERS = split(
    """
    about above across after against along among around because before behind below beneath beside
    between beyond down during except inside into near outside over past since through toward
    under until upon with without although another anybody each either enough every everything few
    less many more most neither nothing several some something such that these this those whatever
    where which while whose eleven fifteen fifty forty hundred ninety seven sixteen thirty three
    twelve twenty
    """
)

WORDS = tuple(dict.fromkeys(NOUNS + ADJECTIVES + VERBS + ADVERBS + OTHERS))

FIRST_NAMES = split(
    """
    Aaron Abigail Ada Adam Agnes Ahmed Aisha Alan Alba Alice Amara Amelia Amir Ana Andre Anna
    Anton Arjun Astrid Aurora Ben Beatriz Bianca Boris Bruno Camille Carla Carlos Cecilia Chen
    Chiara Chloe Clara Cyrus Dalia Daniel Daria David Dina Diego Dora Edgar Elena Elias Elif Ella
    Emil Emma Enzo Erik Esther Eva Fatima Felix Fiona Frank Freya Gabriel George Gita Grace Greta
    Gustav Hana Hannah Haruto Hassan Heidi Helena Henry Hugo Ibrahim Ida Ines Ingrid Irene Isabel
    Ivan Ivy Jack Jacob James Jana Jasper Jin Joan John Jonas Jorge Josef Julia Kai Karim Karl
    Kate Kenji Kira Klara Kofi Lara Lars Laura Layla Lea Leo Lena Liam Lin Lina Linda Louis Lucas
    Lucia Luis Luna Magnus Maja Marco Maria Mariam Marie Mark Marta Martin Matteo Maya Mei Mia
    Miguel Mila Milan Mira Mohamed Nadia Naomi Nina Noah Nora Noor Oksana Olga Oliver Omar Oscar
    Otto Pablo Paul Paula Pedro Petra Priya Quentin Rafael Rania Ravi Rosa Ruth Sami Samir Samuel
    Sandra Sara Sasha Selma Sofia Stefan Sven Tara Theo Thomas Tim Tomas Tove Uma Ursula Valentin
    Vera Victor Viktor Wanda Wei William Xavier Yara Yuki Yusuf Zara Zoe
    """
)

LAST_NAMES = split(
    """
    Abbott Adeyemi Aguilar Ahlberg Alvarez Anders Andrade Archer Aydin Baker Baptiste Barnes Bauer
    Becker Bennett Berg Bianchi Blake Borges Bouchard Brandt Brooks Campbell Cardoso Carter
    Castillo Chandra Chang Chavez Clarke Cohen Collins Costa Cruz Dahl Dalton Demir Diaz Dubois
    Duncan Eklund Elliott Engel Eriksen Evans Farrell Ferrari Fischer Fletcher Fontaine Foster
    Franco Garcia Gibson Gomez Grant Greene Gruber Gupta Haddad Hall Hansen Harris Hartmann Hayes
    Herrera Hoffman Holm Hughes Hussein Ito Ivanov Jansen Jensen Johansson Jones Kapoor Kaya
    Keller Khan Kim Klein Kovacs Kowalski Kumar Larsen Laurent Lehmann Lewis Lind Lopez Lund
    Mahmoud Marino Marsh Martinez Mehta Mendes Meyer Miller Mitchell Moreau Moreno Morgan Mori
    Muller Murphy Nakamura Navarro Nguyen Nielsen Novak Nowak Okafor Okoye Olsen Ortega Osman
    Otieno Palmer Park Patel Pereira Petrov Popov Quinn Rahman Ramos Reyes Ricci Rivera Roberts
    Romano Rossi Russo Saito Salazar Santos Sato Schmidt Schneider Schwarz Sharma Silva Singh
    Smith Sokolov Stone Suzuki Svensson Takeda Tanaka Taylor Torres Turner Vargas Vasquez Vogel
    Wagner Walker Wang Watson Weber Winter Wolf Wright Yamada Yilmaz Young Zhang Ziegler
    """
)

_ONSETS = split("b br c ch cl d dr f fl g gr h j k kl l m n p pl pr qu r s sh sk st t th tr v w z")
_NUCLEI = split("a a e e i i o o u u ai ea ee ia io oo ou y")
_CODAS = ("",) * 12 + ("l", "m", "n", "r", "s", "t", "k", "x", "nd", "rt", "st", "ng", "lm")


def made_up(rng: random.Random, low: int = 2, high: int = 3) -> str:
    """A pronounceable word that (most likely) doesn't exist, of low to high syllables."""
    choice = rng.choice
    return "".join(
        choice(_ONSETS) + choice(_NUCLEI) + choice(_CODAS) for _ in range(rng.randint(low, high))
    )


def word(rng: random.Random) -> str:
    """One lower-case word: mostly an ordinary one, sometimes made up or a run of letters."""
    roll = rng.random()
    if roll < 0.70:
        return rng.choice(WORDS)
    if roll < 0.92:
        return made_up(rng)
    if roll < 0.96:
        return rng.choice(FIRST_NAMES).lower()
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(4, 9)))


def person(rng: random.Random) -> str:
    """A full name; one in three holds a made-up part, so that no list of names suffices."""
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    roll = rng.random()
    if roll < 0.25:
        last = made_up(rng).capitalize()
    elif roll < 0.35:
        first = made_up(rng, 1, 2).capitalize()
    elif roll < 0.40:
        last = f"{last} {rng.choice(LAST_NAMES)}"
    return f"{first} {last}"
