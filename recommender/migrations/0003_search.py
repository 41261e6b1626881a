"""The index of words: kept by the database itself, so that whoever writes an item, in whatever way, has it found.

SQLite: recommender_search is an FTS5 table of what the shop shows, recommender_searchrow ties its rows to items.
PostgreSQL: recommender_search holds a tsvector per item. In both an item that changes in what is searched gets a new,
higher `id`, by which others see what is new. Stock and prices are not searched, so that writing them costs nothing.

On SQLite, a migration that alters Item or Category makes the table anew, which drops its triggers: it has to end with
RunPython(install), which replaces whatever is there and fills it. A test looks whether the triggers are there.
"""

from django.db import migrations

# Longer descriptions are cut on PostgreSQL, whose tsvector holds no more than a megabyte.
LONGEST = 50_000
# What else an item is found by: its category, the department above it, and the texts among its attributes.
CATEGORY = """coalesce((
            SELECT own.name || coalesce(' ' || above.name, '') FROM recommender_category AS own
            LEFT JOIN recommender_category AS above ON above.slug = own.parent_id WHERE own.slug = {item}.category_id
        ), '')"""
ATTRIBUTES = {
    "sqlite": """coalesce((
            SELECT group_concat(atom, ' ') FROM json_tree({item}.attributes) WHERE type = 'text'
        ), '')""",
    "postgresql": """coalesce((
            SELECT string_agg(part #>> '{{}}', ' ')
            FROM jsonb_path_query({item}.attributes, 'strict $.**') AS part WHERE jsonb_typeof(part) = 'string'
        ), '')""",
}


def facts(vendor, item):
    return " || ' ' || ".join(part.format(item=item) for part in (CATEGORY, ATTRIBUTES[vendor]))


SQLITE_DROP = """
DROP TRIGGER IF EXISTS recommender_search_item_insert;
DROP TRIGGER IF EXISTS recommender_search_item_update;
DROP TRIGGER IF EXISTS recommender_search_item_delete;
DROP TRIGGER IF EXISTS recommender_search_category_update;
DROP TABLE IF EXISTS recommender_search;
DROP TABLE IF EXISTS recommender_searchrow;
"""
# AUTOINCREMENT: an id is never given twice. prefix: the beginnings of words are asked for with every letter typed.
SQLITE_MAKE = f"""
CREATE TABLE recommender_searchrow (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    item_id varchar(128) NOT NULL UNIQUE
);
CREATE VIRTUAL TABLE recommender_search USING fts5(
    title, creator, facts, description,
    tokenize = "porter unicode61 remove_diacritics 2", prefix = '2 3'
);
CREATE TRIGGER recommender_search_item_insert AFTER INSERT ON recommender_item WHEN NEW.active BEGIN
    INSERT INTO recommender_searchrow (item_id) VALUES (NEW.id);
    INSERT INTO recommender_search (rowid, title, creator, facts, description)
    SELECT row.id, NEW.title, NEW.creator,
        {facts("sqlite", "NEW")}, NEW.description
    FROM recommender_searchrow AS row WHERE row.item_id = NEW.id;
END;
CREATE TRIGGER recommender_search_item_update
AFTER UPDATE OF id, title, creator, description, category_id, attributes, active ON recommender_item
WHEN OLD.active IS NOT NEW.active OR OLD.title IS NOT NEW.title OR OLD.creator IS NOT NEW.creator
    OR OLD.description IS NOT NEW.description OR OLD.category_id IS NOT NEW.category_id OR OLD.id IS NOT NEW.id
    OR OLD.attributes IS NOT NEW.attributes
BEGIN
    DELETE FROM recommender_search WHERE rowid = (SELECT id FROM recommender_searchrow WHERE item_id = OLD.id);
    DELETE FROM recommender_searchrow WHERE item_id = OLD.id;
    INSERT INTO recommender_searchrow (item_id) SELECT NEW.id WHERE NEW.active;
    INSERT INTO recommender_search (rowid, title, creator, facts, description)
    SELECT row.id, NEW.title, NEW.creator,
        {facts("sqlite", "NEW")}, NEW.description
    FROM recommender_searchrow AS row WHERE row.item_id = NEW.id;
END;
CREATE TRIGGER recommender_search_item_delete AFTER DELETE ON recommender_item BEGIN
    DELETE FROM recommender_search WHERE rowid = (SELECT id FROM recommender_searchrow WHERE item_id = OLD.id);
    DELETE FROM recommender_searchrow WHERE item_id = OLD.id;
END;
CREATE TRIGGER recommender_search_category_update AFTER UPDATE OF name, parent_id ON recommender_category
WHEN OLD.name IS NOT NEW.name OR OLD.parent_id IS NOT NEW.parent_id BEGIN
    UPDATE recommender_search SET facts = (
        SELECT {facts("sqlite", "item")} FROM recommender_searchrow AS row
        JOIN recommender_item AS item ON item.id = row.item_id WHERE row.id = recommender_search.rowid
    ) WHERE rowid IN (
        SELECT row.id FROM recommender_item AS item JOIN recommender_searchrow AS row ON row.item_id = item.id
        WHERE item.category_id IN (SELECT slug FROM recommender_category WHERE NEW.slug IN (slug, parent_id))
    );
END;
INSERT INTO recommender_searchrow (item_id) SELECT id FROM recommender_item WHERE active ORDER BY added_at;
INSERT INTO recommender_search (rowid, title, creator, facts, description)
SELECT row.id, item.title, item.creator, {facts("sqlite", "item")}, item.description
FROM recommender_searchrow AS row JOIN recommender_item AS item ON item.id = row.item_id
ORDER BY row.id;
"""

POSTGRESQL_DROP = """
DROP TRIGGER IF EXISTS recommender_search_item_write ON recommender_item;
DROP TRIGGER IF EXISTS recommender_search_item_update ON recommender_item;
DROP TRIGGER IF EXISTS recommender_search_item_truncate ON recommender_item;
DROP TRIGGER IF EXISTS recommender_search_category_update ON recommender_category;
DROP FUNCTION IF EXISTS recommender_search_item();
DROP FUNCTION IF EXISTS recommender_search_category();
DROP FUNCTION IF EXISTS recommender_search_truncate();
DROP FUNCTION IF EXISTS recommender_search_document(text, text, text, text);
DROP FUNCTION IF EXISTS recommender_search_fold(text);
DROP TABLE IF EXISTS recommender_search;
DROP TEXT SEARCH CONFIGURATION IF EXISTS recommender_search;
DROP TEXT SEARCH DICTIONARY IF EXISTS recommender_search_stem;
"""
# English stems, but no stop words: there are books called It. Accents are folded without the unaccent extension, and
# punctuation is taken out, because PostgreSQL would take AC/DC for a file and a hyphen before a number for a minus.
POSTGRESQL_MAKE = f"""
CREATE TEXT SEARCH DICTIONARY recommender_search_stem (TEMPLATE = snowball, LANGUAGE = english);
CREATE TEXT SEARCH CONFIGURATION recommender_search (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION recommender_search
    ALTER MAPPING FOR asciiword, asciihword, hword_asciipart, word, hword, hword_part WITH recommender_search_stem;
CREATE FUNCTION recommender_search_fold(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(
        normalize(regexp_replace(normalize(left(value, {LONGEST}), NFD), '[\\u0300-\\u036f]', '', 'g'), NFC),
        '[\\u0001-\\u002f\\u003a-\\u0040\\u005b-\\u0060\\u007b-\\u00a9\\u00ab-\\u00b1\\u00b4\\u00b6-\\u00b8\\u00bb\\u00bf\\u2000-\\u206f\\u3000-\\u3004]+', ' ', 'g')
$$;
CREATE FUNCTION recommender_search_document(title text, creator text, facts text, description text)
RETURNS tsvector LANGUAGE sql STABLE AS $$
    SELECT setweight(to_tsvector('recommender_search', recommender_search_fold(title)), 'A')
        || setweight(to_tsvector('recommender_search', recommender_search_fold(creator)), 'B')
        || setweight(to_tsvector('recommender_search', recommender_search_fold(facts)), 'C')
        || setweight(to_tsvector('recommender_search', recommender_search_fold(description)), 'D')
$$;
CREATE TABLE recommender_search (
    item_id varchar(128) PRIMARY KEY,
    id bigint GENERATED BY DEFAULT AS IDENTITY UNIQUE,
    document tsvector NOT NULL
);
CREATE INDEX recommender_search_document ON recommender_search USING gin (document);
CREATE FUNCTION recommender_search_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM recommender_search WHERE item_id = OLD.id;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.active THEN
        INSERT INTO recommender_search (item_id, document) VALUES (NEW.id, recommender_search_document(
            NEW.title, NEW.creator, {facts("postgresql", "NEW")}, NEW.description));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER recommender_search_item_write AFTER INSERT OR DELETE ON recommender_item
    FOR EACH ROW EXECUTE FUNCTION recommender_search_item();
CREATE TRIGGER recommender_search_item_update
    AFTER UPDATE OF id, title, creator, description, category_id, attributes, active ON recommender_item
    FOR EACH ROW WHEN ((OLD.id, OLD.title, OLD.creator, OLD.description, OLD.category_id, OLD.attributes, OLD.active)
        IS DISTINCT FROM (NEW.id, NEW.title, NEW.creator, NEW.description, NEW.category_id, NEW.attributes, NEW.active))
    EXECUTE FUNCTION recommender_search_item();
CREATE FUNCTION recommender_search_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE recommender_search;
    RETURN NULL;
END $$;
CREATE TRIGGER recommender_search_item_truncate AFTER TRUNCATE ON recommender_item
    FOR EACH STATEMENT EXECUTE FUNCTION recommender_search_truncate();
CREATE FUNCTION recommender_search_category() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE recommender_search AS search
    SET document = recommender_search_document(
        item.title, item.creator, {facts("postgresql", "item")}, item.description)
    FROM recommender_item AS item WHERE search.item_id = item.id
        AND item.category_id IN (SELECT slug FROM recommender_category WHERE NEW.slug IN (slug, parent_id));
    RETURN NULL;
END $$;
CREATE TRIGGER recommender_search_category_update AFTER UPDATE OF name, parent_id ON recommender_category
    FOR EACH ROW WHEN ((OLD.name, OLD.parent_id) IS DISTINCT FROM (NEW.name, NEW.parent_id))
    EXECUTE FUNCTION recommender_search_category();
INSERT INTO recommender_search (item_id, document)
SELECT id, recommender_search_document(title, creator, {facts("postgresql", "item")}, description)
FROM recommender_item AS item WHERE active ORDER BY added_at;
"""
SCRIPTS = {"sqlite": (SQLITE_DROP, SQLITE_MAKE), "postgresql": (POSTGRESQL_DROP, POSTGRESQL_MAKE)}


def install(apps, editor):
    uninstall(apps, editor)
    _run(editor, SCRIPTS[editor.connection.vendor][1])


def uninstall(apps, editor):
    _run(editor, SCRIPTS[editor.connection.vendor][0])


def _run(editor, script):
    """A script's statements one by one: sqlite3 would end the migration's transaction before a whole script."""
    if editor.connection.vendor == "postgresql":
        with editor.connection.cursor() as cursor:
            cursor.execute(script)  # without parameters psycopg sends all of it as it stands
        return
    import sqlite3

    statement = ""
    with editor.connection.cursor() as cursor:
        for line in script.splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                cursor.execute(statement)
                statement = ""


class Migration(migrations.Migration):
    dependencies = [("recommender", "0002_content")]

    operations = [migrations.RunPython(install, uninstall)]
