"""What an update behind the fixed version may add and fill (SPEC §11a, rules 2 to 11)."""

import re

from .updates import SECTION, STRUCTURE, WHITE, Name, NotAllowed, Ref, Stream, need, references

WIDGET = {"Type", "Subtype", "FT", "F", "T", "P", "Rect"}
SLICE = WIDGET | {"Ff", "TU", "Parent", "AP", "AS"}
MAX_SIDE = 256
CHANGING = {"F", "OC", "OPI", "Ref", "Alternates"}


def judge(update, data, end, may_sign, has_signed):
    """Raises NotAllowed; true if the update signs. `end` is behind its `%%EOF`."""
    return Judge(*update, data, end, may_sign, has_signed).run()


def rest(dictionary, *names):
    return {key: value for key, value in dictionary.items() if key not in names}


def same(a, b):
    """Equal as they are written: 1, 1.0 and true are three values."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Stream):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def is_number(value):
    return type(value) in (int, float)


def reached(get, roots):
    """All objects to which these values lead."""
    found, work = set(), list(references(roots))
    while work:
        ref = work.pop()
        if ref not in found:
            found.add(ref)
            work += references(get(ref))
    return found


class Judge:
    def __init__(self, before, objects, old_trailer, trailer, data, end, may_sign, has_signed):
        self.before, self.objects, self.old_trailer, self.trailer = before, objects, old_trailer, trailer
        self.data, self.end, self.may_sign, self.has_signed = data, end, may_sign, has_signed
        self.permitted, self.moved = set(), []
        # How often everything that the trailer leads to refers to each object.
        self.counts, work = {}, [old_trailer]
        while work:
            for ref in references(work.pop()):
                self.counts[ref] = self.counts.get(ref, 0) + 1
                if self.counts[ref] == 1:
                    work.append(before.get(ref))
        self.named = {ref.number for ref in self.counts}
        self.pages = before.pages
        need(len(set(self.pages)) == len(self.pages), "a page twice")

    # Looking at objects
    def get(self, ref):
        return self.objects[ref] if ref in self.objects else self.before.get(ref)

    def after(self, value):
        return self.objects[value] if isinstance(value, Ref) and value in self.objects else self.before.resolve(value)

    def used(self, ref):
        return ref.number in self.before.generations

    def is_new(self, value):
        return isinstance(value, Ref) and value in self.objects and not self.used(value) and value.number not in self.named

    def new_dictionary(self, value, why):
        need(self.is_new(value) and isinstance(self.objects[value], dict), why)
        return self.objects[value]

    def run(self):
        need(same(rest(self.old_trailer, *STRUCTURE), rest(self.trailer, *STRUCTURE)), "the trailer differs")
        root = self.trailer["Root"]
        old, new = self.before.resolve(root), self.after(root)
        need(isinstance(old, dict) and isinstance(new, dict), "no catalog")
        own = ["DSS", "AcroForm", "Extensions", "Version"] + ["Perms"] * self.may_sign
        need(same(rest(old, *own), rest(new, *own)), "the catalog differs")
        self.permitted.add(root)
        fields, all_fields = self.form(old, new)
        shown = []
        for index, page in enumerate(self.pages):
            page_old, page_new = self.before.resolve(page), self.after(page)
            need(isinstance(page_new, dict) and same(rest(page_old, "Annots"), rest(page_new, "Annots")), "a page differs")
            self.permitted.add(page)
            shown += [(index, value) for value in self.grown(page_old, page_new, "Annots")]
        # Signatures may refer to the catalog; its store is looked at on its own.
        elsewhere = reached(lambda ref: None if ref == root else self.before.get(ref),
                            [rest(self.old_trailer, "Root"), rest(old, "DSS")])
        self.permitted |= reached(self.before.get, [old.get("DSS")]) - elsewhere
        signature = self.additions(fields, all_fields, shown)
        if not same(old.get("Perms"), new.get("Perms")):
            self.certification(old, new, signature)
        self.all_belong([new.get("DSS"), new.get("Extensions"), new.get("AcroForm"), fields, self.moved])
        return signature is not None

    def all_belong(self, roots):
        found = reached(self.get, roots)
        for ref, value in self.objects.items():
            if self.used(ref):
                need(ref in self.permitted, "an object was replaced")
            else:
                need(self.is_new(ref), "an object to which something led before it was there")
                need(ref in found or value is SECTION, "an object that nothing uses")

    # 3
    def form(self, old, new):
        form_old, form_new = self.before.resolve(old.get("AcroForm")), self.after(new.get("AcroForm"))
        form_old, form_new = ({} if form is None else form for form in (form_old, form_new))
        need(isinstance(form_old, dict) and isinstance(form_new, dict), "the form is none")
        need(same(rest(form_old, "Fields", "SigFlags"), rest(form_new, "Fields", "SigFlags")), "the form differs")
        if isinstance(old.get("AcroForm"), Ref):
            need(not form_old or old["AcroForm"] == new.get("AcroForm"), "another form")
            if old["AcroForm"] == new.get("AcroForm"):
                self.permitted.add(old["AcroForm"])
        return self.grown(form_old, form_new, "Fields"), self.after(form_new.get("Fields")) or []

    # 5
    def grown(self, owner_old, owner_new, key):
        """New members of an array, direct or not, whose old ones must still come first."""
        was, now = owner_old.get(key), owner_new.get(key)
        first, every = ([] if array is None else array for array in (self.before.resolve(was), self.after(now)))
        need(isinstance(first, list) and isinstance(every, list) and same(every[:len(first)], first), f"members of /{key} are gone")
        added = every[len(first):]
        if isinstance(was, Ref) and same(was, now):
            need(not added or self.counts.get(was) == 1, f"/{key} serves for something else too")
            self.permitted.add(was)
        else:
            need(not (isinstance(was, Ref) and first), f"/{key} is another array")
            if isinstance(now, Ref):
                need(self.is_new(now), f"/{key} is an old array")
                self.moved.append(now)
        return added

    # 6
    def additions(self, fields, all_fields, shown):
        self.names = {}
        for field in all_fields:
            field = self.after(field)
            field = field.dictionary if isinstance(field, Stream) else field
            name = self.after(field.get("T")) if isinstance(field, dict) else None
            if isinstance(name, bytes):
                self.names[_plain(name)] = self.names.get(_plain(name), 0) + 1
        self.roots = [field for field in all_fields if isinstance(field, Ref)]
        self.widgets, signed = {}, []
        for ref in fields:
            field = self.new_dictionary(ref, "a field that is no new dictionary")
            need(ref not in self.widgets and self.is_name(field.get("T")), "a field twice, or with a name that cannot be")
            if "Kids" in field:
                self.new_group(ref, field)
                continue
            page = self.signature_field(field)
            value = field.get("V")
            if "V" not in field:
                need(self.may_sign and "AP" not in field and self.is_small(field, page), "an empty field")
            elif self.new_dictionary(value, "a signature that is not new").get("SubFilter") == Name("ETSI.RFC3161"):
                need("AP" not in field, "a timestamp that shows something")
                page = None
            else:
                need(self.may_sign, "a signature behind the last one")
                self.is_signed(field, page)
                signed.append((field["T"], value))
            self.widgets[ref] = page
        seen = set()
        for page, value in shown:
            need(isinstance(value, Ref) and value in self.widgets and value not in seen, "an annotation was added")
            need(self.widgets[value] in (None, page), "a field on another page")
            seen.add(value)
        need(all(page is None or ref in seen for ref, page in self.widgets.items()), "a field on no page")
        if self.may_sign:
            self.filled(signed)
        need(len(signed) <= 1, "two signatures in one update")
        return signed[0] if signed else None

    def is_name(self, name):
        return isinstance(name, bytes) and re.fullmatch(rb"[A-Za-z0-9_-]{1,64}", name) and self.names.get(name) == 1

    def widget(self, widget):
        """The index of its page."""
        rectangle = widget.get("Rect")
        need(widget.get("Type") == Name("Annot") and widget.get("Subtype") == Name("Widget") and same(widget.get("F"), 132),
             "no widget")
        need(isinstance(rectangle, list) and len(rectangle) == 4 and all(map(is_number, rectangle)), "no /Rect")
        need(isinstance(widget.get("P"), Ref) and widget["P"] in self.pages, "no page")
        return self.pages.index(widget["P"])

    def is_small(self, widget, page):
        unit = self.before.resolve(self.before.resolve(self.pages[page]).get("UserUnit"))
        unit = 1 if unit is None else unit
        left, bottom, right, top = widget["Rect"]
        fits = lambda a, b: b >= a and (b - a) * unit <= MAX_SIDE
        return is_number(unit) and fits(left, right) and fits(bottom, top)

    def signature_field(self, field):
        need(WIDGET <= field.keys() <= WIDGET | {"V", "AP", "Lock"}, "entries that no signature field has")
        need(field["FT"] == Name("Sig"), "a field that is no signature's")
        lock = field.get("Lock", {})
        need(isinstance(lock, dict) and not list(references(lock)), "/Lock")
        return self.widget(field)

    def new_group(self, ref, group):
        need(self.may_sign and not self.has_signed, "a group behind a signature")
        owner, is_date = _group(group)
        kids = group["Kids"]
        need(self.names.get(owner) == 1 and isinstance(kids, list) and kids and (len(kids) == 1 or not is_date), "a group")
        pages = set()
        for kid in kids:
            slice_ = self.new_dictionary(kid, "no slice")
            need(kid not in self.widgets and kid != ref, "a slice twice")
            page, empty = self.empty_slice(slice_, ref)
            need(page not in pages, "two slices on a page")
            pages.add(page)
            self.picture(empty)
            need(same(self.objects[empty].dictionary.get("Length"), 0), "an empty slice shows something")
            self.widgets[kid] = page

    def empty_slice(self, slice_, group):
        """Index of its page, its empty form."""
        need(isinstance(slice_, dict) and slice_.keys() == SLICE, "entries that no slice has")
        page = self.widget(slice_)
        need(slice_["FT"] == Name("Btn") and same(slice_["Ff"], 65537) and slice_["AS"] == Name("Off"), "no empty slice")
        need(slice_["T"] == b"p%d" % (page + 1) and isinstance(slice_["TU"], bytes), "another name than its page's")
        need(slice_["Parent"] == group and self.is_small(slice_, page), "a slice of another group, or too large")
        looks = slice_["AP"]
        need(isinstance(looks, dict) and looks.keys() == {"N"}, "/AP")
        need(isinstance(looks["N"], dict) and looks["N"].keys() == {"Off"} and isinstance(looks["N"]["Off"], Ref), "/AP")
        return page, looks["N"]["Off"]

    # 8
    def is_signed(self, field, page):
        value = self.new_dictionary(field.get("V"), "a signature that is not new")
        need(value.get("SubFilter") == Name("ETSI.CAdES.detached"), "another kind of signature")
        span = value.get("ByteRange")
        need(isinstance(span, list) and len(span) == 4 and all(type(n) is int and n >= 0 for n in span), "no /ByteRange")
        covered = span[2] + span[3]
        need(span[0] == 0 and self.end <= covered <= len(self.data) and not self.data[self.end:covered].strip(WHITE),
             "a signature that does not cover its update")
        if "AP" in field:
            looks = field["AP"]
            need(isinstance(looks, dict) and looks.keys() == {"N"} and self.is_small(field, page), "/AP")
            self.picture(looks["N"])

    def filled(self, signed):
        replaced = [ref for ref in self.objects if self.used(ref) and ref not in self.permitted]
        if not replaced:
            return
        places = {}
        for index, page in enumerate(self.pages):
            for ref in self.before.resolve(self.before.resolve(page).get("Annots")) or []:
                if isinstance(ref, Ref):
                    places.setdefault(ref, []).append(index)
        slices = []
        for ref in replaced:
            old, new = self.before.get(ref), self.objects[ref]
            need(isinstance(old, dict) and isinstance(new, dict), "an object was replaced")
            if old.get("FT") != Name("Sig"):
                slices.append((ref, old, new))
                continue
            page = self.signature_field(old)
            need(not {"V", "AP"} & old.keys() and same(rest(old), rest(new, "V", "AP")), "a field was altered")
            need(ref in self.roots and places.get(ref) == [page] and self.is_name(old["T"]), "a field in another place")
            self.is_signed(new, page)
            signed.append((old["T"], new["V"]))
            self.permitted.add(ref)
        for ref, old, new in slices:
            need(len(signed) == 1, "an object was replaced")
            self.slice_filled(ref, old, new, signed[0][0], places)
            self.permitted.add(ref)

    # 9
    def slice_filled(self, ref, old, new, name, places):
        group = old.get("Parent")
        need(isinstance(group, Ref) and group in self.roots, "a slice of no group")
        page, empty = self.empty_slice(old, group)
        above = self.before.get(group)
        need(isinstance(above, dict) and _group(above)[0] == name and isinstance(above["Kids"], list) and ref in above["Kids"],
             "a slice of another signature")
        need(places.get(ref) == [page] and same(rest(old, "AP", "AS"), rest(new, "AP", "AS")), "a slice was altered")
        looks = new.get("AP")
        need(new.get("AS") == Name("Seal") and isinstance(looks, dict) and looks.keys() == {"N"}, "/AP")
        states = looks["N"]
        need(isinstance(states, dict) and states.keys() == {"Off", "Seal"} and states["Off"] == empty, "/AP")
        self.picture(states["Seal"])

    # 10
    def picture(self, ref):
        need(isinstance(ref, Ref), "a picture that is no object")
        form = self.get(ref)
        need(isinstance(form, Stream) and form.dictionary.get("Subtype") == Name("Form"), "a picture that is no form")
        for found in reached(self.get, [ref]):
            need(self.is_new(found), "a picture with something old in it")
            _still(self.objects[found])

    # 11
    def certification(self, old, new, signature):
        old, new = self.before.resolve(old.get("Perms")), new.get("Perms")
        old = {} if old is None else old
        need(signature is not None and isinstance(old, dict) and isinstance(new, dict), "/Perms")
        need("DocMDP" not in old and same(old, rest(new, "DocMDP")) and new.get("DocMDP") == signature[1], "/Perms")


def _still(value):
    if isinstance(value, Stream):
        need(not CHANGING & value.dictionary.keys(), "a picture that changes")
        value = value.dictionary
    if isinstance(value, dict):
        need(value.get("Type") not in (Name("OCG"), Name("OCMD")), "a picture with layers")
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            _still(member)


def _group(group):
    """The name of the field to which a group belongs; is it a date stamp's?"""
    need(group.keys() == {"T", "Kids"} and isinstance(group["T"], bytes), "no group")
    for ending in (b"-straddle", b"-date"):
        if group["T"].endswith(ending):
            return group["T"][:-len(ending)], ending == b"-date"
    raise NotAllowed("no group")


def _plain(name):
    """A text string without its mark, and if it is UTF-16 of ASCII characters, these."""
    if name.startswith(b"\xef\xbb\xbf"):
        return name[3:]
    units = name[2:]
    if name.startswith(b"\xfe\xff") and len(units) % 2 == 0 and not any(units[::2]) and all(b < 128 for b in units[1::2]):
        return units[1::2]
    return name
