"""Facts users tell about themselves, to be remembered, and how they ask them back."""

from __future__ import annotations

from serving.tiny.families.relation import RECALL_FRAMES, Relation, parse

OWN_FACTS = parse(
    """
dentist | user | doctor
- my dentist is {v}
+ the name of my dentist
Who is my dentist?
What is the name of my dentist?
Do you remember who my dentist is?
Remind me who my dentist is.

doctor | user | doctor
- my doctor is {v}
+ the name of my doctor
Who is my doctor?
What is my doctor called?
Which doctor do I go to?
Tell me the name of my doctor.

favourite colour | user | colour
- my favourite colour is {v}
+ my favourite colour
What is my favourite colour?
Which colour is my favourite colour?
What did I say my favourite colour is?
Do you remember my favourite colour?

favourite food | user | food
- my favourite food is {v}
+ my favourite food
What is my favourite food?
Which food is my favourite food?
Tell me what my favourite food is.
Remind me of my favourite food.

allergic | user | food
- I am allergic to {v}
+ what I am allergic to
What am I allergic to?
Which food am I allergic to?
Do you remember what I am allergic to?
Tell me what I'm allergic to.

birthday | user | day
- my birthday is on {v}
+ my birthday
When is my birthday?
On what day is my birthday?
Do you remember when my birthday is?
Tell me the date of my birthday.

anniversary | user | day
- our wedding anniversary is on {v}
+ our anniversary
When is our wedding anniversary?
On which day is our anniversary?
Remind me when our anniversary is.

sister | user | first name
- my sister is called {v}
+ my sister's name
What is my sister called?
What is the name of my sister?
What is my sister's name?
Do you remember my sister's name?

brother | user | first name
- my brother is called {v}
+ my brother's name
What is my brother called?
What is the name of my brother?
What is my brother's name?
Tell me the name of my brother.

dog | user | name
- my dog is called {v}
+ my dog's name
What is my dog called?
What is the name of my dog?
What is my dog's name?
What did I tell you my dog is called?

cat | user | name
- my cat is called {v}
+ my cat's name
What is my cat called?
What is my cat's name?
Do you remember the name of my cat?
Remind me what my cat is called.

boss | user | person
- my boss is {v}
+ the name of my boss
Who is my boss?
What is the name of my boss?
Tell me who my boss is.
Do you know who my boss is?

neighbour | user | person
- my neighbour is {v}
+ my neighbour's name
Who is my neighbour?
What is my neighbour's name?
Remind me of the name of my neighbour.
What is my neighbour called?

teacher | user | person
- my piano teacher is {v}
+ my teacher's name
Who is my piano teacher?
What is the name of my piano teacher?
What is my teacher called?
Who did I say my piano teacher is?

accountant | user | person
- my accountant is {v}
+ my accountant's name
Who is my accountant?
What is my accountant called?
Which accountant do I use?
Tell me the name of my accountant.

wifi password | user | code
- my wifi password is {v}
+ my wifi password
What is my wifi password?
Tell me my wifi password.
Do you remember my wifi password?
Give me my wifi password, please.

licence plate | user | plate
- my licence plate is {v}
+ my licence plate
What is my licence plate?
What is the licence plate of my car?
Tell me my licence plate.
Do you remember my licence plate?

shoe size | user | shoe size
- my shoe size is {v}
+ my shoe size
What is my shoe size?
Which shoe size do I wear?
Do you remember my shoe size?
Tell me my shoe size.

phone number | user | phone
- my phone number is {v}
+ my phone number
What is my phone number?
Tell me my phone number.
Give me my own phone number.
Do you remember my phone number?

email | user | email
- my email address is {v}
+ my email
What is my email address?
Which email address do I use?
Tell me my email address.
Remind me of my email address.

address | user | street
- my address is {v}
+ my home address
What is my address?
What is my home address?
Tell me my address.
Do you remember my address?

hometown | user | city
- my hometown is {v}
+ my hometown
What is my hometown?
Which town is my hometown?
Tell me what my hometown is.
Do you remember my hometown?

work | user | company
- I work at {v}
+ where I work
Where do I work?
Which company do I work at?
Tell me where I work.
Do you remember where I work?

live | user | city
- I live in {v}
+ where I live
Where do I live?
In which city do I live?
Which town do I live in?
Do you remember where I live?

passport | user | number code
- my passport number is {v}
+ my passport number
What is my passport number?
Tell me my passport number.
What is the number of my passport?
Remind me of my passport number.

locker | user | number code
- the code of my locker is {v}
+ my locker code
What is the code of my locker?
What is my locker code?
Tell me the code for my locker.
Do you remember the code of my locker?

alarm | user | number code
- the code of the alarm is {v}
+ the code of the alarm
What is the code of the alarm?
What is the alarm code?
Which code turns off the alarm?
Tell me the alarm code.

library card | user | number code
- my library card number is {v}
+ my library card number
What is my library card number?
What is the number of my library card?
Tell me my library card number.

flight | user | day and time
- my flight leaves on {v}
+ when my flight leaves
When does my flight leave?
On what day and at what time does my flight leave?
Do you remember when my flight leaves?
Tell me when my flight leaves.

appointment | user | day and time
- my appointment with the vet is on {v}
+ my appointment with the vet
When is my appointment with the vet?
What time is my appointment?
On which day is my appointment with the vet?
Remind me when my appointment is.

bins | user | weekday
- the bins are collected on {v}
+ when the bins are collected
When are the bins collected?
On which day are the bins collected?
What day do the bins go out?
Tell me when they collect the bins.

rent | user | price
- my rent is {v}
+ my rent
How much is my rent?
What is my rent?
How much rent do I pay?
Do you remember how much my rent is?

budget | user | price
- my budget for the trip is {v}
+ my budget
What is my budget for the trip?
How much is my budget for the trip?
Tell me my trip budget.
What did I say my budget is?

car | user | company
- my car was made by {v}
+ who made my car
Who made my car?
Which company made my car?
What make is my car?

bike | user | colour
- my bike is {v}
+ the colour of my bike
What colour is my bike?
Which colour does my bike have?
Do you remember the colour of my bike?

book | user | title
- my favourite book is {v}
+ my favourite book
What is my favourite book?
Which book is my favourite?
Tell me the title of my favourite book.
Do you remember my favourite book?

film | user | title
- my favourite film is {v}
+ my favourite film
What is my favourite film?
Which film is my favourite?
Remind me of my favourite film.

learning | user | language
- I am learning {v}
+ which language I am learning
Which language am I learning?
What language am I learning?
Do you remember which language I'm learning?

glasses | user | noun
- I keep my glasses in the {v}
+ where I keep my glasses
Where do I keep my glasses?
Where are my glasses kept?
Where did I say I keep my glasses?

spare key | user | first name
- the spare key is with {v}
+ who has the spare key
Who has the spare key?
Who is the spare key with?
Where is the spare key?
Tell me who has our spare key.

coffee | user | food
- I take my coffee with {v}
+ what I take my coffee with
What do I take my coffee with?
How do I take my coffee?
Remind me what I take with my coffee.

dinner | user | clock
- dinner is at {v}
+ when dinner is
What time is dinner?
When is dinner?
At what time do we have dinner?

meeting | user | day and time
- the team meeting is on {v}
+ when the team meeting is
When is the team meeting?
On what day is the team meeting?
What time is our team meeting?
Remind me when the meeting is.

gym | user | weekday
- I go to the gym on {v}
+ the day I go to the gym
On which day do I go to the gym?
When do I go to the gym?
What day is my gym day?
""",
    RECALL_FRAMES,
)

OWN_BY_KEY: dict[str, Relation] = {fact.key: fact for fact in OWN_FACTS}
RECALL: dict[str, tuple[str, ...]] = {fact.key: fact.asks for fact in OWN_FACTS}
