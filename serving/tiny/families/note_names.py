"""What users' notes are called and what they are about."""

from __future__ import annotations

SUBJECTS: dict[str, tuple[str, ...] | str] = {
    "house": (
        "office", "cabin", "kitchen", "garage", "cottage", "flat", "guest house", "studio", "shed",
        "attic", "cellar", "hall", "bathroom", "bedroom", "library", "workshop",
    ),
    "shopping": "food",
    "meeting": "name",
    "recipe": (
        "apple pie", "lemon cake", "bread", "pizza", "brownies", "muffins", "carrot cake", "quiche",
        "lasagne", "scones", "cheesecake", "plum tart", "banana bread", "waffles", "gingerbread",
    ),
    "trip": "city",
    "people": "first name",
    "car": (
        "van", "truck", "motorbike", "trailer", "blue car", "red car", "bus", "tractor", "bicycle",
        "scooter", "camper", "old car",
    ),
    "garden": "food",
    "computer": "name",
    "books": "title",
    "health": "doctor",
    "school": (
        "maths", "history", "biology", "chemistry", "physics", "music", "art", "geography", "Latin",
        "French", "Spanish", "economics", "drama", "philosophy",
    ),
}  # fmt: skip
"""What the items of a note are about: a choice of words, or a kind of value."""

NOTE_NAMES: dict[str, tuple[str, ...]] = {
    "house": ("house.md", "home.md", "flat.txt", "places.md"),
    "shopping": ("shopping.md", "shopping-list.txt", "groceries.md"),
    "meeting": ("meeting.md", "projects.md", "team-notes.md", "work.txt"),
    "recipe": ("recipes.md", "baking.md", "kitchen.txt"),
    "trip": ("trip.md", "travel.md", "holiday.txt", "tour.md"),
    "people": ("people.md", "family.md", "friends.txt", "contacts.md"),
    "car": ("car.md", "vehicles.md", "garage.txt"),
    "garden": ("garden.md", "plants.txt", "vegetables.md"),
    "computer": ("computer.md", "servers.md", "it-notes.txt", "network.md"),
    "books": ("books.md", "reading.txt", "library.md"),
    "health": ("health.md", "doctor.txt", "medicine.md"),
    "school": ("school.md", "timetable.txt", "classes.md"),
}
