"""Bodies, made up by Hypothesis."""

import json

from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)

legacy_like = st.fixed_dictionaries(
    {},
    optional={
        "revision": st.text() | json_values,
        "workflow_revision": st.text() | json_values,
        "workflowRevision": st.text() | json_values,
        "input": json_values | st.fixed_dictionaries({}, optional={"values": json_values | st.lists(json_values)}),
        "more": json_values,
    },
)

run_like = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text() | json_values,
        "slug": st.text() | json_values,
        "status": st.sampled_from(["created", "success", "unheard of"]) | json_values,
        "workflows": st.lists(json_values) | json_values,
        "user": json_values,
        "error_messages": st.lists(json_values) | json_values,
        "error_code": st.text() | json_values,
        "message": st.text() | json_values,
        "details": json_values,
    },
)

bodies = (
    st.binary() | st.text().map(str.encode) | (json_values | legacy_like | run_like).map(json.dumps).map(str.encode)
)
