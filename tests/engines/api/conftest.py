"""Real servers, for the tests of what asks them."""

from tests.served.servers import byte_pair as byte_pair
from tests.served.servers import needle_files as needle_files
from tests.served.servers import needle_served as needle_served
from tests.served.servers import text_files as text_files
from tests.served.servers import text_pair as text_pair
