"""What stands in users' notes, and how they ask for it."""

from __future__ import annotations

from serving.tiny.families.note_names import SUBJECTS
from serving.tiny.families.relation import NOTE_FRAMES, Relation, parse

NOTE_ITEMS = parse(
    """
wifi password {e} | house | code
- Wifi password {e}: {v}
- The wifi password for the {e} is {v}
- wifi password ({e}): {v}
+ wifi password for the {e}
What is the wifi password for the {e}?
What's the wifi password at the {e} in my notes?
Look in my notes for the wifi password of the {e}.

door code {e} | house | number code
- Door code {e}: {v}
- The door code of the {e} is {v}
+ door code of the {e}
What is the door code of the {e}?
Which door code does the {e} have, according to my notes?
Find the door code of the {e} in my notes.

paint {e} | house | colour
- Paint for the {e}: {v}
- {e}: paint it {v}
+ paint for the {e}
What colour of paint did I note for the {e}?
Which paint did I choose for the {e}?
Check my notes: which paint is for the {e}?

plumber | house | phone
- Plumber: {v}
- The plumber's number is {v}
- Call the plumber on {v}
+ plumber's number
What is the number of the plumber?
What is the phone number of the plumber in my notes?
Find the plumber's number in my notes.

rent {e} | house | price
- Rent for the {e}: {v}
- The rent of the {e} is {v} a month
+ rent of the {e}
How much is the rent of the {e}?
What do my notes say about the rent of the {e}?
Look up the rent for the {e} in my notes.

{e} buy | shopping | few
- Buy {v} {e}
- {e}: buy {v}
+ number of {e} to buy
How many {e} should I buy?
How many {e} are on my shopping list?
According to my shopping list, how many {e} do I buy?

{e} price | shopping | price
- Price of the {e}: {v}
- {e}, price {v}
+ price of the {e}
What was the price of the {e} in my notes?
Which price did I note for the {e}?
Find the price of the {e} in my shopping notes.

{e} shop | shopping | name
- Shop for {e}: {v}
- Best shop for {e} is {v}
+ shop for {e}
In which shop do I buy {e}?
Which shop is best for {e} according to my notes?
Look in my notes for the shop with the {e}.

{e} meeting time | meeting | clock
- {e} meeting, time: {v}
- Time of the {e} meeting is {v}
+ time of the {e} meeting
What time is the {e} meeting?
At what time is the {e} meeting, according to my notes?
Check my notes for the time of the {e} meeting.

{e} meeting day | meeting | weekday
- {e} meeting, day: {v}
- Day of the {e} meeting: {v}
+ day of the {e} meeting
On which day is the {e} meeting?
What day is the {e} meeting in my notes?
Look up the day of the {e} meeting in my notes.

{e} meeting room | meeting | name
- {e} meeting: room {v}
- The {e} meeting is in room {v}
+ room of the {e} meeting
In which room is the {e} meeting?
Which room did I note for the {e} meeting?
Find the room of the {e} meeting in my notes.

{e} leads | meeting | first name
- {v} leads the {e} team
- The {e} project: {v} leads
+ person who leads {e}
Who leads the {e} team?
Who leads {e}, according to my meeting notes?
Check in my notes who leads {e}.

{e} deadline | meeting | day
- {e} deadline: {v}
- The deadline for the {e} project is {v}
- Deadline of {e} moved to {v}
+ deadline of {e}
When is the deadline for the {e} project?
What is the {e} deadline in my notes?
Look in my notes for the deadline of {e}.

{e} budget | meeting | price
- {e} budget: {v}
- The budget for {e} is {v}
- We agreed on a budget of {v} for {e}
+ budget of {e}
What is the budget for {e}?
How large is the {e} budget, according to my notes?
Which budget did we agree on for {e}?

{e} oven | recipe | degrees
- {e}: oven at {v}
- Bake the {e} in the oven at {v}
+ oven temperature for the {e}
How hot should the oven be for the {e}?
What oven temperature do my notes give for the {e}?
At how many degrees does the {e} go in the oven?

{e} flour | recipe | grams
- {e}: {v} of flour
- The {e} needs {v} of flour
+ amount of flour in the {e}
How much flour does the {e} need?
How much flour is in the {e} recipe?
Look in my recipe for the flour in the {e}.

{e} sugar | recipe | grams
- {e}: {v} of sugar
- Take {v} of sugar for the {e}
+ amount of sugar in the {e}
How much sugar goes into the {e}?
How much sugar does my {e} recipe need?
Find in my notes how much sugar the {e} takes.

{e} bake | recipe | minutes
- Bake the {e} for {v}
- {e}: bake for {v}
+ time to bake the {e}
How long do I bake the {e}?
For how many minutes should I bake the {e}?
Check my notes for how long to bake the {e}.

flight {e} | trip | number code
- Flight to {e}: {v}
- The flight number to {e} is {v}
+ flight number to {e}
What is my flight number to {e}?
Which flight do I take to {e}?
Find the flight to {e} in my notes.

hotel {e} | trip | name
- Hotel in {e}: Hotel {v}
- In {e} we stay at the hotel {v}
+ hotel in {e}
Which hotel do we have in {e}?
What is the name of the hotel in {e}, according to my notes?
At which hotel do I stay in {e}?

train {e} | trip | clock
- Train to {e}: {v}
- The train to {e} leaves at {v}
+ time of the train to {e}
When does the train to {e} leave?
What time is the train to {e} in my notes?
Look up the train to {e} in my travel notes.

platform {e} | trip | few
- {e}: platform {v}
- The train for {e} is on platform {v}
+ platform of the train to {e}
From which platform does the train for {e} leave?
Which platform did I note for {e}?
What platform is the train to {e} on?

guide {e} | trip | person
- Guide in {e}: {v}
- Our guide in {e} is {v}
+ name of the guide in {e}
Who is our guide in {e}?
What is the name of the guide in {e}?
Find the name of the guide in {e} in my notes.

{e} birthday | people | day
- {e}: birthday {v}
- {e}'s birthday is on {v}
+ birthday of {e}
When is {e}'s birthday?
On what day is the birthday of {e}?
Look up {e}'s birthday in my notes.

{e} phone | people | phone
- {e}, phone {v}
- Phone number of {e}: {v}
+ phone number of {e}
What is {e}'s phone number?
What is the phone number of {e}?
Find {e}'s phone number in my notes.

{e} email | people | email
- {e}, email {v}
- {e}'s email is {v}
+ email of {e}
What is {e}'s email address?
Which email does {e} have?
Look in my notes for the email of {e}.

{e} present | people | noun
- Present for {e}: {v}
- {e} wants a {v} as a present
+ present for {e}
What present did I note for {e}?
Which present does {e} want?
Check my notes for {e}'s present.

{e} size | people | size
- {e}: size {v}
- {e} wears size {v}
+ size of {e}
What size does {e} wear?
Which size did I note for {e}?
Find {e}'s size in my notes.

tyre pressure {e} | car | pressure
- Tyre pressure {e}: {v}
- The {e} tyre pressure is {v}
+ tyre pressure of the {e}
What is the tyre pressure for the {e}?
Which tyre pressure did I note for the {e}?
Look in my notes for the tyre pressure of the {e}.

{e} service | car | day
- {e} service: {v}
- Next service of the {e} is on {v}
+ date of the {e} service
When is the next service of the {e}?
On what day is the {e} service, according to my notes?
Find the date of the {e} service in my notes.

{e} plate | car | plate
- {e}, plate {v}
- Plate of the {e}: {v}
+ plate of the {e}
What is the plate of the {e}?
Which number plate does the {e} have?
Search my notes for the plate of the {e}.

{e} insurance | car | company
- {e} insurance: {v}
- The insurance of the {e} is with {v}
+ insurance of the {e}
Who is the insurance of the {e} with?
Which insurance does the {e} have, according to my notes?
Look up the {e} insurance in my notes.

plant {e} | garden | month
- Plant the {e} in {v}
- {e}: plant in {v}
+ month to plant the {e}
In which month do I plant the {e}?
When should I plant the {e}, according to my notes?
Look in my garden notes for when to plant the {e}.

water {e} | garden | weekday
- Water the {e} on {v}
- {e}: water every {v}
+ day to water the {e}
On which day do I water the {e}?
When do I water the {e}?
Check my notes for the day to water the {e}.

seeds {e} | garden | company
- {e} seeds from {v}
- Order seeds for {e} at {v}
+ company for the {e} seeds
Where do I order the seeds for the {e}?
Which company sells the {e} seeds in my notes?
Where did I get the seeds of the {e}?

{e} server | computer | address
- {e} server: {v}
- The server {e} is at {v}
+ address of the {e} server
What is the address of the {e} server?
Which address does the server {e} have?
Find the {e} server in my notes.

{e} password | computer | code
- {e} password: {v}
- The password for {e} is {v}
+ password for {e}
What is the password for {e}?
Which password did I note for {e}?
Look up the {e} password in my notes.

{e} version | computer | version
- {e}: version {v}
- We run version {v} of {e}
+ version of {e}
Which version of {e} do we run?
What version of {e} did I note?
Check my notes for the version of {e}.

{e} shelf | books | few
- {e}: shelf {v}
- {e} is on shelf {v}
+ shelf of {e}
On which shelf is {e}?
Which shelf did I put {e} on?
Search my notes for the shelf with {e}.

{e} lent | books | first name
- {e}: lent to {v}
- I lent {e} to {v}
+ person {e} is lent to
According to my notes, who is {e} lent to?
To whom is {e} lent?
My notes say that {e} was lent to whom?

{e} due | books | day
- {e}: due on {v}
- {e} is due back on {v}
+ date when {e} is due
When is {e} due?
On what day is {e} due back?
Look in my notes for when {e} is due back.

{e} room | health | few
- {e}: room {v}
- The room of {e} is {v}
+ room of {e}
In which room is {e}?
Which room did I note for {e}?
Find the room of {e} in my notes.

{e} practice | health | street
- {e}: practice at {v}
- The practice of {e} is at {v}
+ address of the practice of {e}
Where is the practice of {e}?
At what address is {e}'s practice, according to my notes?
Look up the practice of {e} in my notes.

{e} appointment | health | day and time
- {e} appointment: {v}
- Appointment with {e} on {v}
+ time of the appointment with {e}
When is my appointment with {e}?
When do my notes say I have an appointment with {e}?
Check my notes for the appointment with {e}.

{e} exam | school | day
- {e} exam: {v}
- The {e} exam is on {v}
+ date of the {e} exam
When is the {e} exam?
On what day is the {e} exam, according to my notes?
Look up the {e} exam in my notes.

{e} teacher | school | person
- {e} teacher: {v}
- The teacher for {e} is {v}
+ teacher for {e}
Who is the teacher for {e}?
What is the name of the {e} teacher?
Find the {e} teacher in my school notes.

{e} classroom | school | few
- {e}: classroom {v}
- {e} is in classroom {v}
+ classroom for {e}
In which classroom is {e}?
Which classroom do I go to for {e}?
Search my notes for the {e} classroom.
""",
    NOTE_FRAMES,
)

NOTE_BY_KEY: dict[str, Relation] = {item.key: item for item in NOTE_ITEMS}
NOTE_BY_NAME: dict[str, tuple[Relation, ...]] = {
    note: tuple(item for item in NOTE_ITEMS if note in item.topics) for note in SUBJECTS
}
NOTES: dict[str, tuple[str, ...]] = {item.key: item.asks for item in NOTE_ITEMS}
