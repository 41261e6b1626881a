"""The ten genres: each a short composition for the instruments, varied by the record's key, tempo and seed."""

from __future__ import annotations

import math
from collections.abc import Callable

from recommender.folio.instruments import BLUES, DORIAN, Song


def _ambient(song: Song) -> None:
    """Overlapping pads, four beats each, a low drone and a few notes left to ring."""
    chords = song.choose(((0, 3), (0, 5, 3), (0, 4, 3), (5, 0, 3), (0, 2, 5)))
    bell = ("glass bells", "felt piano", "harp")[song.variant]
    tilt, width_cents = ((1.3, 14), (1.0, 26), (0.8, 34))[song.variant]
    shape = {"tilt": tilt, "width_cents": width_cents, "cutoff_hz": 1500 + 1500 * song.energy}
    for bar in range(-1, len(song.bars())):
        chord = chords[bar % len(chords)]
        pitches = [song.bass(chord, 40), *song.chord(chord, 4, 55)]
        song.swell(pitches, 4 * bar - 1, 4, 1.0, fade=3, sweep_s=song.rng.uniform(5, 10), **shape)
        for beat in (0, 1.5, 2, 3.5):
            if song.rng.random() < 0.4 + 0.2 * song.energy:
                pitch = song.choose(song.chord(chord, 5, 67))
                song.play(bell, pitch, 4 * bar + beat, 5, song.rng.uniform(0.2, 0.4), send=1.0)
    song.play("sub", song.bass(0, 33), -1, song.beats + 2, 0.25, send=0)


def _baroque(song: Song) -> None:
    """A two-voice invention: each half bar one voice has the subject, the other chord tones."""
    song.raise_leading, song.looseness_s = True, 0.004
    upper = ("harpsichord", "recorder", "lute")[song.variant]
    lower = ("harpsichord", "harpsichord", "viola da gamba")[song.variant]
    chords = song.choose(((0, 4, 5, 1, 3, 0, 1, 4), (0, 3, 0, 5, 1, 4, 0, 4), (0, 1, 4, 0, 5, 3, 4, 0)))
    run, sixteenths = (0.5, 0.25, 0.25, 0.5, 0.5), (0.25,) * 8
    subject = song.motif(song.choose((run, sixteenths, (0.25, 0.25, 0.5) * 2, (0.5, 0.5, *(0.25,) * 4))))
    for slot in song.bars(2):
        chord = chords[slot % len(chords)]
        for voice, centre, runs in ((upper, 9, slot % 2 == 0), (lower, -3, slot % 2 == 1)):
            cell = subject if runs else song.motif((1, 1) if slot % 4 < 2 else (0.5, 0.5, 1))
            for offset, length, pitch in song.line(cell, chord, centre + chord % 3 - 1):
                song.play(voice, pitch, 2 * slot + offset, length * 1.1, 0.55, send=0.35)
        for beat in (0, 1):
            song.play(lower, song.bass(chord, 36) + 12 * beat, 2 * slot + beat, 0.95, 0.5)


def _blues(song: Song) -> None:
    """Twelve bars (entered at one of three lines), a swung shuffle, and a lead that plays and leaves room."""
    song.looseness_s = 0.006
    form, start = (0, 5, 0, 0, 5, 5, 0, 0, 7, 5, 0, 7), song.choose((0, 4, 8))
    lead = ("lead guitar", "harmonica", "piano")[song.variant]
    comp = ("steel guitar", "steel guitar", "piano")[song.variant]
    third = 4 if song.mode == "major" else 3
    late = 2 / 3  # the swung off-beat
    licks = ((late, 1 - late, late, 4 / 3, -1), (-1, late, 1 - late, 1, 1), (1 / 3,) * 6)
    cells = [song.motif(lick) for lick in licks]
    for bar in song.bars():
        root = form[(bar + start) % 12]
        low = 35 + (song.tonic + root - 35) % 12
        for beat in range(4):
            at = 4 * bar + beat
            for offset in (0, late):
                for interval in (0, 9 if beat % 2 else 7, 12 + third if beat == 3 else 12):
                    song.play(comp, low + 12 + interval, at + offset, 0.45 - offset / 4, 0.22)
                song.hit("ride" if song.variant else "brush", at + offset, 0.16 - 0.1 * offset)
            song.play("double bass", low + (0, third, 7, 9)[beat], at, 0.95, 0.8)
            song.hit("snare" if beat % 2 else "soft kick", at, 0.35 if beat % 2 else 0.6)
        song.scale = BLUES
        centre = song.choose((6, 8))
        for offset, length, pitch in song.line(cells[(0, 1, 0, 2)[bar % 4]], 0, centre, snap=False):
            song.play(lead, pitch, 4 * bar + offset, length * 1.1, 0.6, send=0.3)


def _bossa_nova(song: Song) -> None:
    """Nylon chords on a two-bar clave, root and fifth below, a floating tune, rim and shaker."""
    song.raise_leading, song.looseness_s = True, 0.005
    chords = song.choose(((0, 5, 1, 4), (0, 1, 4, 0), (3, 6, 2, 5) if song.mode == "major" else (0, 3, 1, 4)))
    # Where the guitar plays, in eighths of two bars.
    clave = song.choose(((0, 3, 6, 10, 13), (0, 3, 6, 11, 14), (1, 3, 6, 8, 11, 14)))
    lead = ("flute", "vibraphone", "electric piano")[song.variant]
    rhythms = ((1.5, 0.5, 1, 1), (-0.5, 1, 0.5, 1.5, 0.5), (0.5, 0.5, 1, -0.5, 1.5), (-1, 1.5, 1.5))
    cells = [song.motif(song.choose(rhythms)) for _ in range(3)]
    for bar in song.bars():
        chord = chords[bar % len(chords)]
        for eighth in (e - 8 * (bar % 2) for e in clave if e // 8 == bar % 2):
            for pitch in song.chord(chord, 5, 52, skip=1):
                song.play("nylon guitar", pitch, 4 * bar + eighth / 2, 1.2, 0.32)
            song.hit("rim", 4 * bar + eighth / 2, 0.3)
        for beat, length, degree in ((0, 1.4, 0), (1.5, 0.45, 4), (2, 1.4, 4), (3.5, 0.45, 0)):
            song.play("double bass", song.bass(chord + degree, 36, chord), 4 * bar + beat, length, 0.65)
        for eighth in range(8):
            song.hit("shaker", 4 * bar + eighth / 2, 0.3 if eighth % 2 else 0.16)
        for offset, length, pitch in song.line(cells[(0, 1, 0, 2)[bar % 4]], chord, 9):
            song.play(lead, pitch, 4 * bar + offset, length, 0.5, send=0.4)


def _chiptune(song: Song) -> None:
    """Square-wave lead and echo, arpeggios in sixteenths, octave-hopping triangle bass, drums of static."""
    chords = song.choose(((0, 5, 3, 4), (0, 3, 5, 4), (5, 3, 0, 4), (0, 4, 5, 3)))
    lead, arpeggio = (("square", "pulse"), ("thin pulse", "square"), ("square", "thin pulse"))[song.variant]
    order = song.choose(((0, 1, 2, 3), (0, 2, 1, 3), (3, 2, 1, 0), (0, 1, 2, 1)))
    rhythms = ((0.5, 0.5, 0.5, 0.5, 1, 1), (0.75, 0.75, 0.5, 1, 1), (0.5, 0.25, 0.25, 0.5, 0.5, 1.5, 0.5))
    cells = [song.motif(song.choose(rhythms)) for _ in range(3)]
    for bar in song.bars():
        chord = chords[bar % len(chords)]
        tones = song.chord(chord, 3, 60)
        for step in range(16):
            at = 4 * bar + step / 4
            song.play(arpeggio, [*tones, tones[0] + 12][order[step % 4]], at, 0.2, 0.22, send=0)
            if step % 2 == 0:
                song.play("triangle", song.bass(chord, 36) + 12 * (step // 2 % 2), at, 0.42, 0.55, send=0)
                song.hit("chip hat", at, 0.35)
            if step % 4 == 0:
                song.hit("chip snare" if step % 8 else "chip kick", at, 0.6)
        for offset, length, pitch in song.line(cells[(0, 1, 0, 2)[bar % 4]], chord, 14):
            song.play(lead, pitch, 4 * bar + offset, length * 0.8, 0.42, send=0)
            song.play(lead, pitch, 4 * bar + offset + 0.75, length * 0.8, 0.12, send=0)


def _drum_and_bass(song: Song) -> None:
    """A chopped two-step break with ghost notes over long bass notes at half its speed."""
    chords = song.choose(((0, 0, 5, 5), (0, 5, 3, 4), (0, 0, 2, 6), (0, 3, 5, 6)))
    kicks = [song.choose(((0, 10), (0, 2, 10), (0, 7, 10), (0, 10, 11))) for _ in range(3)]  # in sixteenths
    ghosts = [song.choose(((7, 9), (7, 9, 15), (6, 14, 15), (2, 9, 11))) for _ in range(3)]
    stabs = song.choose(((0, 3.5), (0.5, 2.75), (0, 1.5, 3)))
    for bar in song.bars():
        chord = chords[bar % len(chords)]
        edit = (0, 1, 0, 2)[bar % 4]
        voices = ("kick", 0.9, kicks[edit]), ("ghost", 0.35, ghosts[edit]), ("snare", 0.95, (4, 12))
        for name, gain, steps in voices:
            for step in steps:
                song.hit(name, 4 * bar + step / 4, gain)
        for step in range(0, 16, 1 if song.energy > 0.5 else 2):
            song.hit("hat", 4 * bar + step / 4, 0.32 if step % 4 else 0.45)
        for beat, length, leap in ((0, 2.4, 0), (2.5, 1.4, song.choose((0, 12, 7)))):
            for bass, gain in (("sub", 0.65), ("reese", 0.0 if song.variant else 0.5)):
                song.play(bass, song.bass(chord, 31) + leap, 4 * bar + beat, length, gain, send=0)
        if song.variant == 1:
            for beat in stabs:
                for pitch in song.chord(chord, 5, 57, skip=1):
                    song.play("electric piano", pitch, 4 * bar + beat, 1.5, 0.2, send=0.6)
        elif bar % 2 == 0:
            song.swell(song.chord(chord, 4, 57), 4 * bar, 7, (0.25, 0, 0.5)[song.variant], sweep_s=4)


def _folk(song: Song) -> None:
    """Fingerpicking with an alternating thumb under a plain tune."""
    song.looseness_s = 0.007
    song.scale = DORIAN if song.mode == "minor" else song.scale
    minor, major = ((0, 6, 0, 6), (0, 3, 6, 0), (0, 2, 6, 0)), ((0, 3, 0, 4), (0, 4, 5, 3), (0, 5, 3, 4))
    chords = song.choose(minor if song.mode == "minor" else major)
    lead = ("whistle", "fiddle", "banjo")[song.variant]
    fingers = song.choose(((2, 1, 3, 2), (3, 1, 2, 3), (1, 2, 3, 1)))
    rhythms = ((1, 0.5, 0.5, 1, 1), (1.5, 0.5, 1, 1), (0.5, 0.5, 1, 0.5, 0.5, 1), (0.5,) * 6 + (1,))
    cells = [song.motif(song.choose(rhythms)) for _ in range(3)]
    for bar in song.bars():
        chord = chords[bar % len(chords)]
        tones = [*song.chord(chord, 3, 55), song.chord(chord, 3, 55)[0] + 12]
        for beat in range(4):
            thumb = song.bass(chord if beat % 2 == 0 else chord + 4, 40, chord)
            song.play("steel guitar", thumb, 4 * bar + beat, 1.8, 0.55)
            song.play("steel guitar", tones[fingers[beat]], 4 * bar + beat + 0.5, 1.8, 0.42)
            if beat in (0, 2):
                song.play("steel guitar", tones[3], 4 * bar + beat, 1.6, 0.34)
            if song.variant == 2:
                song.hit("foot", 4 * bar + beat, 0.5 if beat % 2 == 0 else 0.25)
        for offset, length, pitch in song.line(cells[(0, 1, 0, 2)[bar % 4]], chord, 10):
            song.play(lead, pitch, 4 * bar + offset, length * 0.98, 0.42, send=0.35)


def _house(song: Song) -> None:
    """Four to the floor, off-beat open hats, claps, stabs and a pad that ducks under the kick."""
    minor, major = ((0, 0, 5, 3), (0, 5, 0, 6), (0, 3, 0, 3), (0, 2, 3, 5)), ((0, 5, 1, 4), (3, 4, 5, 0))
    chords = song.choose(minor if song.mode == "minor" else major)
    lead = ("organ", "piano", "electric piano")[song.variant]
    rhythm = song.choose(((0, 0.75, 1.5, 2.5, 3.25), (0.5, 1.5, 2.25, 3.5), (0, 1.5, 2.75, 3.5)))
    bassline = song.choose(((0.5, 1.5, 2.5, 3.5), (0.5, 0.75, 1.5, 2.5, 3.25), (0, 0.75, 1.5, 2.75, 3.5)))
    for bar in song.bars():
        chord = chords[bar % len(chords)]
        if bar % 2 == 0:
            song.swell(song.chord(chord, 4, 60), 4 * bar - 1, 8, 0.35, cutoff_hz=1800 + 1500 * song.energy)
        for beat in rhythm:
            for pitch in song.chord(chord, 5, 57, skip=1):
                song.play(lead, pitch, 4 * bar + beat, 0.4, 0.3, send=0.35)
        for beat in bassline:
            pitch = song.bass(chord, 33) + song.choose((0, 0, 12))
            song.play("synth bass", pitch, 4 * bar + beat, 0.42, 0.9, send=0)
    song.duck(0.6)
    for beat in song.bars(1):
        song.hit("kick", beat, 1.0, send=0)
        song.hit("open hat", beat + 0.5, 0.45)
        song.hit("clap", beat, 0.5 * (beat % 2), send=0.2)
        for sixteenth in (0.25, 0.75):
            song.hit("shaker", beat + sixteenth, 0.25)


def _minimalism(song: Song) -> None:
    """One pattern played twice: the second player is a little faster and slips out of step."""
    instrument = ("marimba", "piano", "vibraphone")[song.variant]
    held = ("clarinet", "felt piano", "organ")[song.variant]
    size = song.choose((8, 10, 12))
    scale = (0, 1, 2, 4, 5, 7, 8, 9) if song.mode == "major" else (0, 2, 3, 4, 6, 7, 9, 10)
    half = [song.pitch(int(d)) + 12 for d in song.rng.choice(scale, size // 2, replace=False)]
    pattern = half * 2
    a, b = song.rng.permutation(size)[:2]
    pattern[a], pattern[b] = pattern[b], pattern[a]
    gain = 0.35 if instrument == "vibraphone" else 0.55
    for speed in (1.0, 1.0 + 0.5 / song.beats):  # two sixteenths gained by the end of the side
        for step in range(math.ceil(song.beats * 4 * speed)):
            accent = 1.25 if step % size == 0 else 1.0
            song.play(instrument, pattern[step % size], step / 4 / speed, 0.9, gain * accent, send=0.25)
    for bar in song.bars():
        for pitch in song.chord((0, 0, 3, 5)[bar % 4], 3, 48)[:2]:
            song.play(held, pitch, 4 * bar, 3.6, 0.22, send=0.5)


def _waltz(song: Song) -> None:
    """Oom-pah-pah: bass on one, chord on two and three, and a tune that breathes over the bar line."""
    song.raise_leading, song.looseness_s = True, 0.006
    lead = ("accordion", "fiddle", "glass bells")[song.variant]
    strum = ("nylon guitar", "piano", "harp")[song.variant]
    chords = song.choose(((0, 0, 4, 4, 4, 4, 0, 0), (0, 3, 4, 0, 5, 1, 4, 0), (0, 5, 3, 4, 0, 1, 4, 0)))
    rhythms = ((2, 1), (1, 1, 1), (1.5, 0.5, 1), (-1, 1, 1), (1, 0.5, 0.5, 1), (3,))
    cells = [song.motif(song.choose(rhythms)) for _ in range(4)]
    for bar in song.bars(3):
        chord = chords[bar % len(chords)]
        song.play("double bass", song.bass(chord + 4 * (bar % 2), 36, chord), 3 * bar, 1.6, 0.8)
        for beat, gain in ((1, 0.36), (2, 0.3)):
            for pitch in song.chord(chord, 4 if chord == 4 else 3, 55):
                song.play(strum, pitch, 3 * bar + beat, 0.7, gain)
        for offset, length, pitch in song.line(cells[(0, 1, 0, 2, 0, 1, 3, 2)[bar % 8]], chord, 10):
            song.play(lead, pitch, 3 * bar + offset, length, 0.42, send=0.4)


COMPOSERS: dict[str, Callable[[Song], None]] = {
    "ambient": _ambient,
    "baroque": _baroque,
    "blues": _blues,
    "bossa-nova": _bossa_nova,
    "chiptune": _chiptune,
    "drum-and-bass": _drum_and_bass,
    "folk": _folk,
    "house": _house,
    "minimalism": _minimalism,
    "waltz": _waltz,
}
ROOMS: dict[str, tuple[float, float]] = {  # (decay in seconds, how much of it); a lively hall unless listed
    "ambient": (4.0, 1.1),
    "chiptune": (0.4, 0.0),
    "drum-and-bass": (1.4, 0.5),
    "house": (1.2, 0.5),
}
