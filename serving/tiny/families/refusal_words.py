"""Requests for words that the bundled model can't give: texts, languages, explanations, advice.

The slots are those of refusal_templates.
"""

from __future__ import annotations

WRITING = """
Write a poem about {t}.
Write a short poem about the {n}.
Write me a poem about a {a} {n}.
Write a haiku about the {n}.
Write a limerick about {f} and the {n}.
Write a sonnet about {t}.
Write a story about a {a} {n}.
Write a short story about {f}, a {j} from {c}.
Write a bedtime story about a {n} and a {m}.
Write an essay on {t}.
Write an essay about {t} in five paragraphs.
Write a 500-word essay about {t}.
Write an article about {t}.
Write a blog post about {t}.
Write an email to {f} about {t}.
Write an email to my boss asking for a day off.
Write a polite email to {p} that declines the invitation.
Write a letter to my landlord about the {n}.
Write a cover letter for a job as a {j}.
Write a speech for the wedding of {f}.
Write a song about {t}.
Write lyrics for a song about the {n}.
Write a product description for a {a} {n}.
Write a review of the {n}.
Write a report about {t}.
Write a press release about {t}.
Write a tweet about {t}.
Write a caption for a photo of a {n}.
Write a joke about a {n} and a {m}.
Write a dialogue between a {n} and a {m}.
Write a play about {t}.
Write the opening of a novel about {t}.
Write a plot for a film about a {a} {n}.
Write a birthday card for {f}.
Write a toast for {f}'s birthday.
Write a thank-you note to {f}.
Write a CV for a {j}.
Write a business plan for a {n} shop.
Write a slogan for a {n} company.
Write a lesson plan about {t}.
Compose a poem on {t}.
Compose a song about {f}.
Compose a letter to {p}.
Compose an email about {t}.
Draft an email to {f} about the {n}.
Draft a letter of complaint about the {n}.
Draft a contract for a {j}.
Draft a speech on {t}.
Make up a story about a {n}.
Make up a rhyme about {f}.
Invent a fairy tale about a {a} {n}.
Invent a name for my {n} shop.
Create a story in which a {n} meets a {m}.
Create a slogan for my {n} business.
Tell me a story about a {n}.
Tell me a bedtime story about {f} and the {n}.
Tell me a joke.
Tell me a joke about a {n}.
Tell a funny story about a {j}.
Continue this story: {s}
Continue the sentence: {s}
Rewrite this in a friendlier tone: {s}
Rewrite this paragraph so that it sounds better: {s}
Rephrase this: {s}
Paraphrase the following sentence: {s}
Improve my writing: {s}
Correct the grammar of this sentence: {s}
Proofread this for me: {s}
Fix the spelling and grammar: {s}
Make this sound more formal: {s}
Find a rhyme for {n}.
What rhymes with {n}?
Give me a poem about {t}.
Give me a title for an essay on {t}.
Give me three names for a {a} {n}.
I need an essay about {t} by tomorrow.
I need a poem for {f}.
I want a love letter to {f}.
Can you write a poem about {t}?
Could you write me a story about the {n}?
Help me write a letter to {f}.
Help me write my essay on {t}.
Help me write a CV as a {j}.
"""

LANGUAGE = """
Translate {s} into {l}.
Translate this to {l}: {s}
Translate the word {n} into {l}.
Translate the following sentence into {l}: {s}
How do you say {n} in {l}?
How do you say {s} in {l}?
What is {n} in {l}?
What is the {l} word for {n}?
What does {g} mean in {l}?
Say good morning in {l}.
Say hello to {f} in {l}.
Teach me some {l}.
Teach me ten words of {l}.
Count to ten in {l}.
Conjugate the verb to {n} in {l}.
Is this correct {l}: {s}
Speak {l} with me.
What is the meaning of the word {n}?
What does the word {n} mean?
Define {n}.
Define the term {t}.
Give me a definition of {t}.
Give me a synonym for {a}.
What is a synonym of {a}?
What is the opposite of {a}?
Use the word {n} in a sentence.
Make a sentence with {n} and {m}.
What is the origin of the word {n}?
Explain the difference between a {n} and a {m}.
What is the difference between {a} and {n}?
Which part of speech is {n}?
How do you pronounce {g}?
"""

EXPLAINING = """
Explain {t}.
Explain {t} to me like I'm five.
Explain {t} in simple words.
Explain how {t} works.
Explain how a {n} works.
Explain how interest works.
Explain how prime numbers work.
Explain why {t} matters.
Explain why the sky is blue.
Explain what a standard deviation is.
Explain the theory of relativity.
Explain the meaning of this poem: {s}
Explain the history of {t}.
Explain Pythagoras' theorem.
Explain what a palindrome is.
Explain what an anagram is and why people like them.
Explain how to convert units.
Explain to {f} what {t} is.
Describe {t}.
Describe a {a} {n}.
Describe the life of a {j}.
Describe what happens when a {n} meets a {m}.
Describe the city of {c} in a few sentences.
Discuss the advantages of {t}.
Discuss the causes of {t}.
Compare {t} with a {n}.
Compare the {n} and the {m}.
Analyse the role of {t} in society.
Analyse this argument: {s}
Summarise the novel about the {n}.
Summarise the history of {t}.
Summarise the plot of your favourite film.
Summarise War and Peace.
Summarise the news of this week.
Summarise this in one sentence: {s}
Summarise {d} for me.
Summarise the main points of {d}.
Give me a summary of {d}.
Give me a summary of the book about {t}.
Give me an overview of {t}.
Give me the pros and cons of {t}.
Tell me about {t}.
Tell me everything about {t}.
Tell me something interesting about {t}.
Tell me how a {n} is made.
Tell me why people like {t}.
Teach me about {t}.
Teach me how to be a {j}.
What is the point of {t}?
What is {t} all about?
What are the benefits of {t}?
What are the advantages of {t}?
What are the causes of {t}?
What would happen if there were no {t}?
What would happen if a {n} could talk?
What is the meaning of life?
What is love?
What is consciousness?
Why is {t} important?
Why do people like {t}?
Why is the {n} {a}?
Why do we need {t}?
Why does a {n} need a {m}?
Why is the sea salty?
Why do cats purr?
How does {t} work?
How does a {n} work?
How does the stock market work?
How do airplanes fly?
How do vaccines work?
How is a {n} made?
How did {t} begin?
How does compound interest work in general?
Prove the Riemann hypothesis.
Prove that there are infinitely many primes.
Derive the formula for the area of a circle.
"""

ADVICE = """
How do I {h}?
How do I learn {l}?
How do I become a {j}?
How do I stop worrying about {t}?
How do I get better at {t}?
How can I make friends in {c}?
How can I {h}?
How can I lose weight?
How can I earn more money as a {j}?
How can I fall asleep faster?
How should I prepare for an interview as a {j}?
How should I invest my savings?
How would you {h}?
What should I wear today?
What should I cook tonight?
What should I cook with {n} and {m}?
What should I do about my {n}?
What should I do about {t}?
What should I buy for {f}'s birthday?
What should I name my {n}?
What should I study at university?
What can I do against {i}?
What helps against {i}?
What is the best way to {h}?
What is the best way to learn about {t}?
What is the best {n} to buy?
What is the best laptop for a {j}?
What are good restaurants in {c}?
What are fun things to do in {c}?
Which {n} should I buy?
Which phone should I buy?
Which job suits me best?
Where should I go on holiday?
Where should I invest my money?
Should I become a {j}?
Should I buy a {n} or a {m}?
Should I marry {f}?
Should I quit my job?
Should I see a doctor about {i}?
Should I move to {c}?
Is it a good idea to {h}?
Is it safe to eat a {n}?
Is it normal to have {i}?
Give me advice on {t}.
Give me some advice about my {n}.
Give me tips on how to {h}.
Give me tips for {t}.
Give me ideas for a party.
Give me ideas for a trip to {c}.
Give me a recipe for {n} soup.
Give me a workout plan.
Give me a meal plan for the week.
Give me feedback on my idea for a {n}.
Recommend a book about {t}.
Recommend a good film.
Recommend a restaurant in {c}.
Recommend me some music for {t}.
Suggest a name for a {a} {n}.
Suggest a gift for a {j}.
Suggest something to read about {t}.
Plan a trip to {c} for me.
Plan a three-day holiday in {c}.
Plan a birthday party for {f}.
Plan my week.
Help me {h}.
Help me with my homework about {t}.
Help me decide between a {n} and a {m}.
Help me prepare for my exam on {t}.
Help me with {t}.
I have {i}, what should I do?
I have {i}. Which medicine should I take?
I have had {i} for three days. Is that serious?
I feel sad today.
I feel lonely in {c}.
I am bored.
I am worried about {t}.
I am angry with {f}.
I broke up with {f}, what now?
I had a fight with {f}. What should I say?
I want to {h}. Any tips?
I want to start a business with {n}s.
I need advice about {t}.
I need help with my {n}.
My {n} is broken, how do I repair it?
My {n} makes a strange noise. What could it be?
My head hurts.
My child has {i}. What can I do?
My neighbour is too loud, what can I do?
Diagnose my symptoms: {i} and {i2}.
What medicine is good for {i}?
Do I need a lawyer for {t}?
Can I sue {f} because of the {n}?
Is my landlord allowed to take my {n}?
"""
